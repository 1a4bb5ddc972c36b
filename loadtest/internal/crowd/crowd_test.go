package crowd_test

import (
	"context"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/smaran-v2/smaran/loadtest/internal/client"
	"github.com/smaran-v2/smaran/loadtest/internal/crowd"
	"github.com/smaran-v2/smaran/loadtest/internal/engine"
	"github.com/smaran-v2/smaran/loadtest/internal/fakefleet"
	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/proto/stage/v1/stagev1connect"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stage is a scripted one: it keeps what it is told, and sends the orders that the test gives.
type stage struct {
	network *fakefleet.Network
	server  *http.Server
	served  sync.WaitGroup

	mu     sync.Mutex
	hellos []*stagev1.CrowdHello
	told   []*stagev1.Observations
	at     []time.Time
	// deaf, while it is open, keeps it from reading.
	deaf chan struct{}

	orders chan *stagev1.CrowdOrder
}

// open serves on a network of connections in memory, as HTTP/2.
func open() *stage {
	s := &stage{network: fakefleet.NewNetwork(), orders: make(chan *stagev1.CrowdOrder)}
	mux := http.NewServeMux()
	mux.Handle(stagev1connect.NewCrowdServiceHandler(s))
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	s.server = &http.Server{Handler: mux, Protocols: protocols}
	s.served.Go(func() { _ = s.server.Serve(s.network) }) // ends with close
	return s
}

func (s *stage) close() {
	_ = s.server.Close()
	s.served.Wait()
}

// Attach implements stage.v1.
func (s *stage) Attach(ctx context.Context, stream *connect.BidiStream[stagev1.AttachRequest, stagev1.AttachResponse]) error {
	hello, err := stream.Receive()
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.hellos = append(s.hellos, hello.GetHello())
	s.mu.Unlock()
	ctx, over := context.WithCancel(ctx)
	var ordering sync.WaitGroup
	defer ordering.Wait()
	defer over()
	ordering.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case o := <-s.orders:
				if stream.Send(&stagev1.AttachResponse{Order: o}) != nil {
					return
				}
			}
		}
	})
	for {
		s.mu.Lock()
		deaf := s.deaf
		s.mu.Unlock()
		if deaf != nil {
			select {
			case <-deaf:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		req, err := stream.Receive()
		if err != nil {
			return err
		}
		s.mu.Lock()
		s.told, s.at = append(s.told, req.GetObservations()), append(s.at, time.Now())
		s.mu.Unlock()
	}
}

// seen is what was told of a take, and clears it.
func (s *stage) seen(take uint32) *stagev1.Observations {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := &stagev1.Observations{Take: take}
	for _, o := range s.told {
		if o.GetTake() == take {
			all.Inferences = append(all.Inferences, o.GetInferences()...)
			all.Occurrences = append(all.Occurrences, o.GetOccurrences()...)
			all.Gaps = append(all.Gaps, o.GetGaps()...)
			all.Calls = append(all.Calls, o.GetCalls()...)
			all.Untold += o.GetUntold()
		}
	}
	s.told, s.at = nil, nil
	return all
}

// rig is a crowd of a fake fleet and a scripted stage, in a bubble: time passes when everybody waits, and a goroutine left over fails the
// test.
type rig struct {
	*testing.T
	fleet *fakefleet.Fleet
	// stage is nil while there is none.
	mu    sync.Mutex
	stage *stage

	crowd *crowd.Crowd
	stop  context.CancelFunc
	over  chan struct{}
}

func inBubble(t *testing.T, test func(*rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{T: t, fleet: fakefleet.New(3, fakefleet.Ring), stage: open(), over: make(chan struct{})}
		r.crowd = &crowd.Crowd{
			Stage: "http://stage.test", Lane: "a", Version: "v-test",
			Behaviour: engine.CallerFlags{OnMisroute: client.Redial, GapThreshold: 200 * time.Millisecond, Watchdog: fakefleet.Watchdog},
			Phones:    &fakefleet.Phones{Fleet: r.fleet}, DialStage: r.dial, DialSmaran: r.fleet.Dial,
			Clock: clockwork.NewRealClock(), Log: slog.New(slog.DiscardHandler),
		}
		ctx, cancel := context.WithCancel(t.Context())
		r.stop = cancel
		go func() { // ends with ctx
			defer close(r.over)
			r.crowd.Run(ctx)
		}()
		defer func() {
			cancel()
			<-r.over
			if s := r.there(); s != nil {
				s.close()
			}
			require.NoError(t, r.fleet.Down(t.Context()))
		}()
		test(r)
	})
}

func (r *rig) there() *stage {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stage
}

func (r *rig) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if s := r.there(); s != nil {
		return s.network.Dial(ctx, network, address)
	}
	return nil, net.ErrClosed
}

// replace has another stage there, or none.
func (r *rig) replace(s *stage) {
	r.mu.Lock()
	old := r.stage
	r.stage = s
	r.mu.Unlock()
	if old != nil {
		old.close()
	}
}

// pass lets time pass in the bubble.
func (r *rig) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func order(calls uint32, rate float64) *stagev1.CrowdOrder {
	return &stagev1.CrowdOrder{SmaranUrl: fakefleet.URL, Calls: calls, Rate: rate, Seed: 7, Take: 1}
}

func (r *rig) order(o *stagev1.CrowdOrder) { r.there().orders <- o }

// up are the sessions whose call is, by the changes in their order.
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

func classes(o *stagev1.Observations) map[string]int {
	out := map[string]int{}
	for _, c := range o.GetOccurrences() {
		out[c.GetClass()]++
	}
	return out
}

func TestACrowdWithoutAnOrderDoesNothing(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.pass(10 * time.Second)
		require.Len(t, r.there().hellos, 1)
		require.Equal(t, "a", r.there().hellos[0].GetLane())
		require.Equal(t, "v-test", r.there().hellos[0].GetVersion())
		require.Empty(t, r.there().told)
		require.Zero(t, r.fleet.Count("POST /inference"))
	})
}

func TestACrowdTellsWhatItsCallersSee(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.order(order(12, 24))
		r.pass(time.Second)
		at := r.there().at
		require.NotEmpty(t, at)
		for i := range at[1:] {
			require.GreaterOrEqual(t, at[i+1].Sub(at[i]), 100*time.Millisecond, "ten times a second at most")
		}
		r.pass(2 * time.Second)
		first := r.there().seen(1)
		calls := up(first, nil)
		require.Len(t, calls, 12)
		for session, pod := range calls {
			require.Equal(t, r.fleet.Holder(session), pod)
		}
		r.pass(10 * time.Second)
		seen := r.there().seen(1)
		require.InDelta(t, 240, len(seen.GetInferences()), 12)
		for _, i := range seen.GetInferences() {
			require.Contains(t, calls, i.GetSession())
			require.Equal(t, "warm", i.GetState())
			require.InDelta(t, fakefleet.Warm, i.GetLatency().AsDuration(), float64(time.Millisecond))
			require.Zero(t, i.GetLate().AsDuration())
			require.False(t, i.GetFirst())
			require.Equal(t, calls[i.GetSession()], i.GetPod())
			require.NotEmpty(t, i.GetAddress())
			require.LessOrEqual(t, i.GetAgo().AsDuration(), 100*time.Millisecond)
		}
		require.Empty(t, seen.GetOccurrences(), "nothing happens")
		require.Empty(t, seen.GetCalls())
		require.Zero(t, seen.GetUntold())
		cold := map[string]bool{}
		for _, i := range first.GetInferences() {
			if i.GetState() == "cold" {
				require.True(t, i.GetFirst())
				cold[i.GetSession()] = true
			}
		}
		require.Len(t, cold, 12, "each once")
	})
}

func sessions(o *stagev1.Observations) []string {
	all := map[string]bool{}
	for _, i := range o.GetInferences() {
		all[i.GetSession()] = true
	}
	return slices.Sorted(maps.Keys(all))
}

func hangups(f *fakefleet.Fleet, sessions map[string]string) int {
	n := 0
	for session := range sessions {
		n += f.Count("DELETE /v1/calls/" + session)
	}
	return n
}

var _ = strings.TrimSpace
