package registry_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/registry"
	"github.com/smaran-v2/smaran/services/testreal"
)

const (
	// histories are checked, each of one session and its pods, with so many clients at once that each do so many steps.
	histories, linearClients, linearSteps = 25, 5, 14
	// checkTime bounds the search for an order. Unknown results can make it longer than anybody waits.
	checkTime = 5 * time.Second
	// glance is enough where many histories show the same.
	glance = 2 * time.Second
)

// recorded are the operations of one history.
type recorded struct {
	begin time.Time
	mu    sync.Mutex
	ops   []porcupine.Operation
}

// do records a move. One whose result is not known never returned.
func (h *recorded) do(client int, m move, act func() (found, error)) {
	called := time.Since(h.begin).Nanoseconds()
	got, err := act()
	op := porcupine.Operation{ClientId: client, Input: m, Call: called, Output: got, Return: time.Since(h.begin).Nanoseconds()}
	if err != nil {
		op.Output, op.Return = found{unknown: true}, int64(time.Hour)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, op)
}

// play lets clients have at one session, and returns what they did.
func play(t *testing.T, addr string, seed uint64, hooks ...redis.Hook) []porcupine.Operation {
	t.Helper()
	h := &recorded{begin: time.Now()}
	var all, late sync.WaitGroup
	direct := client(t, addr)
	for i := range linearClients {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		c := client(t, addr)
		for _, hook := range append(hooks, partition{rand.New(rand.NewPCG(seed, uint64(100+i))), &late, direct}) {
			c.AddHook(hook)
		}
		p := &player{recorded: h, t: t, number: i, rng: rng, client: c, register: registry.New(c, 0), pod: i % linearPods}
		all.Go(func() {
			p.start(t.Context())
			for range linearSteps {
				p.step(t.Context())
			}
		})
	}
	all.Wait()
	late.Wait()
	return h.ops
}

// TestRegisterIsLinearizable has clients claim, assert and release at once, through partitions, and looks for one order of
// all that they did that the model of the register agrees with. The seed decides what each client does; the order is Redis's.
func TestRegisterIsLinearizable(t *testing.T) {
	addr := testreal.StartRedis(t)
	seed := rand.Uint64()
	judged, unknown := 0, 0
	for range histories {
		seed++
		flush(t, addr)
		begin := time.Now()
		ops := play(t, addr, seed)
		if time.Since(begin) > registry.LeaseTTL/2 {
			t.Logf("seed %d: leases may have expired meanwhile, which the model knows nothing of: not judged", seed)
			continue
		}
		result, info := porcupine.CheckOperationsVerbose(registerModel, ops, checkTime)
		require.NotEqual(t, porcupine.Illegal, result, "seed %d\n%s\n%v", seed, tell(ops), info.PartialLinearizationsOperations())
		if result == porcupine.Unknown {
			t.Logf("seed %d: %d results are unknown, and no order was found or ruled out in %s: not judged", seed, unknowns(ops), checkTime)
			continue
		}
		judged++
		unknown += unknowns(ops)
	}
	require.Greater(t, judged, histories/2, "too few to say anything")
	require.Positive(t, unknown, "no reply was lost")
	t.Logf("%d histories, %d results unknown", judged, unknown)
}

// TestABrokenFenceIsNotLinearizable forgets the record before an assertion, so that one from below the register's epoch gets through.
func TestABrokenFenceIsNotLinearizable(t *testing.T) {
	addr := testreal.StartRedis(t)
	for seed := range uint64(20 * histories) {
		flush(t, addr)
		if porcupine.CheckOperationsTimeout(registerModel, play(t, addr, seed, brokenFence{client(t, addr)}), glance) == porcupine.Illegal {
			return
		}
	}
	require.Fail(t, "nobody noticed")
}

func flush(t *testing.T, addr string) {
	t.Helper()
	require.NoError(t, client(t, addr).FlushAll(t.Context()).Err())
}

func unknowns(ops []porcupine.Operation) int {
	return len(slices.DeleteFunc(slices.Clone(ops), func(op porcupine.Operation) bool { return !op.Output.(found).unknown }))
}

func tell(ops []porcupine.Operation) string {
	slices.SortFunc(ops, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
	var s strings.Builder
	for _, op := range ops {
		fmt.Fprintf(&s, "%d: %v to %v: %+v -> %+v\n", op.ClientId, time.Duration(op.Call), time.Duration(op.Return), op.Input, op.Output)
	}
	return s.String()
}
