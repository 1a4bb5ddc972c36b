package balance_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/mesh/balance"
)

func hosts(weights ...uint32) []balance.Host {
	list := make([]balance.Host, len(weights))
	for i, w := range weights {
		list[i] = balance.Host{Active: &atomic.Int64{}, Endpoint: endpoints.Endpoint{
			Address: fmt.Sprintf("10.0.0.%d:8080", i+1), Health: endpoints.Healthy, Weight: w}}
	}
	return list
}

func state(seed uint64) *balance.State { return balance.NewState(balance.NewSource(seed)) }

func count(b balance.Balancer, n int, r balance.Request) map[int]int {
	seen := map[int]int{}
	for range n {
		seen[b.Pick(r)]++
	}
	return seen
}

// builders are all balancers, by name.
func builders(t testing.TB) map[string]func([]balance.Host, *balance.State) balance.Balancer {
	t.Helper()
	hash := func(p affinity.Policy) func([]balance.Host, *balance.State) balance.Balancer {
		return func(h []balance.Host, s *balance.State) balance.Balancer {
			b, err := balance.NewHash(p, h, affinity.Options{TableSize: 1009}, s)
			require.NoError(t, err)
			return b
		}
	}
	return map[string]func([]balance.Host, *balance.State) balance.Balancer{
		"round_robin": balance.NewRoundRobin, "least_request": balance.NewLeastRequest, "random": balance.NewRandom,
		"ring": hash(affinity.PolicyRing), "maglev": hash(affinity.PolicyMaglev),
	}
}

func TestWeightedTurnsFollowEnvoysSchedule(t *testing.T) {
	b := balance.NewRoundRobin(hosts(2, 1), state(1))
	var got []int
	for range 9 {
		got = append(got, b.Pick(balance.Request{}))
	}
	require.Equal(t, []int{0, 1, 0, 0, 1, 0, 0, 1, 0}, got)
}

func TestTurnsGoOnAcrossVersions(t *testing.T) {
	s := state(1)
	list := hosts(1, 1, 1)
	last := balance.NewRoundRobin(list, s).Pick(balance.Request{})
	for range 10 {
		next := balance.NewRoundRobin(list, s).Pick(balance.Request{})
		require.Equal(t, (last+1)%3, next)
		last = next
	}
}

func TestLeastRequestAvoidsTheBusyHost(t *testing.T) {
	list := hosts(1, 1, 1)
	list[0].Active.Store(100)
	seen := count(balance.NewLeastRequest(list, state(1)), 9000, balance.Request{})
	require.InDelta(t, 1000, seen[0], 150, "only where it is drawn twice, one time in nine")

	list = hosts(3, 1)
	list[0].Active.Store(5) // 3/6 against 1/1
	seen = count(balance.NewLeastRequest(list, state(1)), 900, balance.Request{})
	require.InDelta(t, 300, seen[0], 5)
}

func TestRefusedHostsArePassedOver(t *testing.T) {
	for name, build := range builders(t) {
		t.Run(name, func(t *testing.T) {
			b := build(hosts(1, 1, 1, 1), state(1))
			asked := 0
			refuseOne := balance.Request{Hash: 7, Hashed: true, Refuse: func(h int) bool { asked++; return h == 0 }}
			// Of four hosts the same one comes six times in a row one time in thousands.
			require.Less(t, count(b, 500, refuseOne)[0], 20)
			require.NotZero(t, asked)
			asked = 0
			b.Pick(balance.Request{Refuse: func(int) bool { asked++; return true }})
			require.Equal(t, 5, asked, "then the last is taken")
		})
	}
}

func TestNoHostIsMinusOne(t *testing.T) {
	for name, build := range builders(t) {
		for _, h := range []endpoints.Health{endpoints.Draining, endpoints.Unhealthy, endpoints.Timeout} {
			list := hosts(1, 1)
			list[0].Health, list[1].Health = h, h
			require.Equal(t, -1, build(list, state(1)).Pick(balance.Request{}), name)
			require.Equal(t, -1, build(nil, state(1)).Pick(balance.Request{Refuse: func(int) bool { return true }}), name)
		}
	}
}

// The shares are those of Envoy's arithmetic in load_balancer_impl.cc, worked out by hand.
func TestSharesOfHealthyAndDegraded(t *testing.T) {
	const h, d, u, dr = endpoints.Healthy, endpoints.Degraded, endpoints.Unhealthy, endpoints.Draining
	for _, row := range []struct {
		list []endpoints.Health
		want float64 // to healthy hosts, of 100
	}{
		{[]endpoints.Health{h, d}, 70},
		{[]endpoints.Health{h, h, d}, 93},
		{[]endpoints.Health{h, h, h, d}, 100},
		{[]endpoints.Health{h, d, u}, 50},
		{[]endpoints.Health{h, d, dr}, 70},
		{[]endpoints.Health{h, u, u}, 100},
		{[]endpoints.Health{d, d}, 0},
		{[]endpoints.Health{h, d, d, d}, 35},
	} {
		list := hosts(make([]uint32, len(row.list))...)
		for i, health := range row.list {
			list[i].Health = health
		}
		healthy := 0
		for host, n := range count(balance.NewRoundRobin(list, state(1)), 20000, balance.Request{}) {
			if list[host].Health == h {
				healthy += n
			}
			require.Contains(t, []endpoints.Health{h, d}, list[host].Health)
		}
		require.InDelta(t, row.want, float64(healthy)/200, 1.5, "%v", row.list)
	}
}

func TestAHashPicksTheSameHostWhateverTheSeed(t *testing.T) {
	for _, name := range []string{"ring", "maglev"} {
		build := builders(t)[name]
		spread := map[int]bool{}
		rapid.Check(t, func(t *rapid.T) {
			list := hosts(1, 1, 1, 1, 1)
			r := balance.Request{Hash: affinity.HashValue(rapid.String().Draw(t, "session")), Hashed: true}
			first := build(list, state(1)).Pick(r)
			spread[first] = true
			for seed := range uint64(5) {
				require.Equal(t, first, build(list, state(seed)).Pick(r))
			}
		})
		require.Greater(t, len(spread), 2, name)
		require.Len(t, count(build(hosts(1, 1, 1), state(3)), 200, balance.Request{}), 3, "%s without a hash", name)
	}
}

func TestPicksAllocateNothing(t *testing.T) {
	for name, build := range builders(t) {
		b := build(hosts(1, 1, 1), state(1))
		require.Zero(t, testing.AllocsPerRun(100, func() { b.Pick(balance.Request{Hash: 7, Hashed: true}) }), name)
	}
}

func TestTheSameSeedPicksTheSame(t *testing.T) {
	for name, build := range builders(t) {
		one, two := build(hosts(1, 1, 1), state(9)), build(hosts(1, 1, 1), state(9))
		for range 100 {
			require.Equal(t, one.Pick(balance.Request{}), two.Pick(balance.Request{}), name)
		}
	}
}
