package crowd_test

import (
	"context"
	"log/slog"
	"maps"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/smaran-v2/smaran/loadtest/internal/client"
	"github.com/smaran-v2/smaran/loadtest/internal/crowd"
	"github.com/smaran-v2/smaran/loadtest/internal/engine"
	"github.com/smaran-v2/smaran/loadtest/internal/fakefleet"
	"github.com/smaran-v2/smaran/loadtest/internal/fakestage"
	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a crowd of a fake fleet and a fake stage, in a bubble: time passes when everybody waits, and a goroutine left over fails the test.
type rig struct {
	*testing.T
	fleet *fakefleet.Fleet
	stop  context.CancelFunc
	// over is closed when the crowd has ended, with err.
	over chan struct{}
	err  error

	mu sync.Mutex
	// network and stage are nil while there is none.
	network *fakefleet.Network
	stage   *fakestage.Stage
}

func inBubble(t *testing.T, test func(*rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "a")
		defer r.end()
		test(r)
	})
}

// newRig is a crowd that runs until end.
func newRig(t *testing.T, lane string) *rig {
	r := &rig{T: t, fleet: fakefleet.New(3, fakefleet.Ring), over: make(chan struct{})}
	r.open()
	c := &crowd.Crowd{
		Stage: "http://stage.test", Lane: lane, Version: "v-test",
		Behaviour: engine.Behaviour{OnMisroute: client.Redial, GapThreshold: 200 * time.Millisecond, Watchdog: fakefleet.Watchdog},
		Phones:    &fakefleet.Phones{Fleet: r.fleet}, DialStage: r.dial, DialSmaran: r.fleet.Dial,
		Clock: clockwork.NewRealClock(), Log: slog.New(slog.DiscardHandler),
	}
	ctx, cancel := context.WithCancel(t.Context())
	r.stop = cancel
	go func() { // ends with ctx; end waits for it
		defer close(r.over)
		r.err = c.Run(ctx)
	}()
	return r
}

func (r *rig) end() {
	r.stop()
	<-r.over
	r.close()
	require.NoError(r, r.fleet.Down(context.Background()))
}

// open has a stage there.
func (r *rig) open() {
	network := fakefleet.NewNetwork()
	s := fakestage.Open(network)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.network, r.stage = network, s
}

// close has none there.
func (r *rig) close() {
	r.mu.Lock()
	s := r.stage
	r.network, r.stage = nil, nil
	r.mu.Unlock()
	if s != nil {
		s.Close()
	}
}

func (r *rig) dial(ctx context.Context, network, address string) (net.Conn, error) {
	r.mu.Lock()
	n := r.network
	r.mu.Unlock()
	if n == nil {
		return nil, net.ErrClosed
	}
	return n.Dial(ctx, network, address)
}

// pass lets time pass in the bubble.
func (*rig) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// order has so many callers, together so many requests a second.
func order(calls uint32, rate float64) *stagev1.CrowdOrder {
	return &stagev1.CrowdOrder{SmaranUrl: fakefleet.URL, Calls: calls, Rate: rate, Seed: 7, Take: 1}
}

func (r *rig) order(o *stagev1.CrowdOrder) { r.stage.Order(r.Context(), o) }

// seen is what the stage was told of a take since it was asked before, or of an earlier one.
func (r *rig) seen(take uint32) *stagev1.Observations {
	all := &stagev1.Observations{Take: take}
	for _, o := range r.stage.Take() {
		if o.GetTake() == take {
			all.Inferences = append(all.Inferences, o.GetInferences()...)
			all.Occurrences = append(all.Occurrences, o.GetOccurrences()...)
			all.Gaps = append(all.Gaps, o.GetGaps()...)
			all.Calls = append(all.Calls, o.GetCalls()...)
			all.Untold += o.GetUntold()
		}
	}
	return all
}

// up are the sessions whose call is after these changes, and the pod that has it.
func up(o *stagev1.Observations, before map[string]string) map[string]string {
	out := maps.Clone(before)
	if out == nil {
		out = map[string]string{}
	}
	for _, c := range o.GetCalls() {
		if c.GetUp() {
			out[c.GetSession()] = c.GetPod()
		} else {
			delete(out, c.GetSession())
		}
	}
	return out
}

// classes counts what happened.
func classes(o *stagev1.Observations) map[string]int {
	out := map[string]int{}
	for _, c := range o.GetOccurrences() {
		out[c.GetClass()]++
	}
	return out
}

// by counts inferences by the session that asked.
func by(o *stagev1.Observations) map[string]int {
	out := map[string]int{}
	for _, i := range o.GetInferences() {
		out[i.GetSession()]++
	}
	return out
}
