package client_test

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/client"
	"github.com/smaran-v2/smaran/loadtest/internal/fakefleet"
	"github.com/smaran-v2/smaran/loadtest/internal/scenario"
	"github.com/smaran-v2/smaran/loadtest/internal/tally"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/wire"
)

// sideErrors are what failed beside the inferences, by code.
func (r *rig) sideErrors() map[string]uint64 {
	records, _ := tally.Merge([]*tally.Recorder{r.recorder})
	return records.SideErrors
}

// latestOffer is the last call that was asked for.
func (r *rig) latestOffer() http.Header {
	offers := r.fleet.Offers()
	return offers[len(offers)-1]
}

// streams is how often the caller has opened its event stream.
func (r *rig) streams() int { return r.fleet.Count("GET " + wire.PathCallEvents(id)) }

// onSecondCalls has f handle the offers that bring a token.
func (r *rig) onSecondCalls(f http.HandlerFunc) {
	r.fleet.Intercept = func(w http.ResponseWriter, req *http.Request) bool {
		if req.Header.Get(wire.HeaderMigrate) == "" {
			return false
		}
		f(w, req)
		return true
	}
}

// kill kills a pod, and lets its caller notice.
func (r *rig) kill(pod string) {
	_, err := r.fleet.Do(r.Context(), scenario.Event{Kind: scenario.KindKill, Pod: pod})
	require.NoError(r, err)
	r.pass(time.Second)
}

// switchboard counts the lines that are not closed.
type switchboard struct {
	client.Phone
	open atomic.Int32
}

func (s *switchboard) Dial(ctx context.Context, o client.Offer) (client.Line, error) {
	l, err := s.Phone.Dial(ctx, o)
	if err != nil {
		return nil, err
	}
	s.open.Add(1)
	return &counted{Line: l, closed: sync.OnceFunc(func() { s.open.Add(-1) })}, nil
}

type counted struct {
	client.Line
	closed func()
}

func (l *counted) Close() error {
	l.closed()
	return l.Line.Close()
}

func TestTheFirstCallIsHungUpForTheSecond(t *testing.T) {
	where := &to{}
	lines := &switchboard{}
	inBubble(t, where.route, func(c *client.Config) { lines.Phone, c.Phone = c.Phone, lines }, func(r *rig) {
		where.set(1)
		r.fleet.Migrate(id, "jarvis-2")
		r.pass(time.Second)
		require.EqualValues(r, 1, lines.open.Load())
		r.caller.Trickle(r.Context())
		require.Empty(r, r.sideErrors(), "candidates are for the second from now on")
		require.Equal(r, 1, r.fleet.Count("PATCH "+wire.PathCall(id)))
	})
}

func TestACallThatIsToldToMoves(t *testing.T) {
	where := &to{}
	inBubble(t, where.route, nil, func(r *rig) {
		r.infer()
		where.set(1)
		r.fleet.Migrate(id, "jarvis-2")
		r.pass(time.Second)
		require.Equal(r, "jarvis-2", r.fleet.Holder(id))
		second := r.latestOffer()
		require.Equal(r, "token-1", second.Get(wire.HeaderMigrate))
		require.Equal(r, "1", second.Get(wire.HeaderEpoch), "the highest that an answer named")
		require.Equal(r, id, second.Get(session.Header))
		require.Empty(r, second.Get(wire.HeaderLostPod))
		r.infer()
		require.Equal(r, map[string]uint64{"first_loads": 1, "migrations": 1}, r.saw(), "warm, and nothing else happened")
		require.Empty(r, r.sideErrors())
		require.Empty(r, r.heard(), "the agent was heard all the time")
		require.Len(r, r.setups(), 1)

		require.Equal(r, 2, r.streams(), "the second call's events, and the first one's no more")
		where.set(2)
		r.fleet.Migrate(id, "jarvis-3")
		r.pass(time.Second)
		require.Equal(r, "jarvis-3", r.fleet.Holder(id), "it hears of the next move there")
		require.Equal(r, "1", r.fleet.Offers()[1].Get(wire.HeaderEpoch))
		require.Equal(r, "2", r.latestOffer().Get(wire.HeaderEpoch))
		r.stop()
		r.done.Wait()
		require.Empty(r, r.fleet.Holder(id), "and hangs up there")
	})
}

// TestTheFirstCallIsUpUntilTheSecondIs: both are, for a moment.
func TestTheFirstCallIsUpUntilTheSecondIs(t *testing.T) {
	inBubble(t, (&to{}).route, nil, func(r *rig) {
		r.fleet.Grant = func() bool {
			lasts(2 * time.Second)
			return true
		}
		r.fleet.Migrate(id, "jarvis-2")
		r.pass(time.Second)
		r.infer()
		require.NotContains(r, r.saw(), "migrations", "not yet")
		require.NotContains(r, r.saw(), "misroutes", "the call that answers are spoken on is the first still")
		r.pass(2 * time.Second)
		require.EqualValues(r, 1, r.saw()["migrations"])
		require.Empty(r, r.heard())
	})
}

func TestASecondCallThatFailsLeavesTheFirst(t *testing.T) {
	for name, c := range map[string]struct {
		fail func(*rig) (mend func())
		code string
	}{
		"refused": {fail: func(r *rig) func() {
			var mended atomic.Bool
			r.fleet.Intercept = func(w http.ResponseWriter, req *http.Request) bool {
				if req.Header.Get(wire.HeaderMigrate) == "" || mended.Load() {
					return false
				}
				wire.Problem{Status: http.StatusServiceUnavailable, Code: wire.CodeDraining}.Write(w)
				return true
			}
			return func() { mended.Store(true) }
		}, code: "migration: draining"},
		"not granted": {fail: func(r *rig) func() {
			var granted atomic.Bool
			r.fleet.Grant = granted.Load
			return func() { granted.Store(true) }
		}, code: "migration: transport"},
	} {
		t.Run(name, func(t *testing.T) {
			where := &to{}
			inBubble(t, where.route, nil, func(r *rig) {
				mend := c.fail(r)
				r.infer()
				r.fleet.Migrate(id, "jarvis-2")
				r.pass(5 * time.Second)
				r.infer()
				require.Equal(r, "jarvis-1", r.fleet.Holder(id))
				require.Equal(r, map[string]uint64{"first_loads": 1}, r.saw(), "the call went on, and its conversation")
				require.Equal(r, map[string]uint64{c.code: 1}, r.sideErrors(), "once: the caller tries no more by itself")
				require.Empty(r, r.heard())
				require.Equal(r, 1, r.streams())

				mend()
				r.fleet.Migrate(id, "jarvis-3")
				r.pass(time.Second)
				require.Equal(r, "jarvis-3", r.fleet.Holder(id))
				require.Equal(r, "token-2", r.latestOffer().Get(wire.HeaderMigrate))
				require.EqualValues(r, 1, r.saw()["migrations"])
			})
		})
	}
}

// TestThePodThatACallMovesToDies: the first call is not touched by it.
func TestThePodThatACallMovesToDies(t *testing.T) {
	inBubble(t, (&to{}).route, nil, func(r *rig) {
		r.fleet.Migrate(id, "jarvis-2")
		r.pass(fakefleet.Setup / 2)
		r.kill("jarvis-2")
		require.Equal(r, "jarvis-1", r.fleet.Holder(id))
		require.Empty(r, r.saw())
		require.Equal(r, map[string]uint64{"migration: transport": 1}, r.sideErrors())
	})
}

func TestAPodThatDiesDuringAMigrationLeadsToARedial(t *testing.T) {
	for name, second := range map[string]http.HandlerFunc{
		"its second call is refused": nil, // nobody can give it the session
		"its second call hangs":      func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, (&to{}).route, nil, func(r *rig) {
				if second != nil {
					r.onSecondCalls(second)
				}
				r.fleet.Migrate(id, "jarvis-3")
				r.pass(fakefleet.Setup / 2)
				r.kill("jarvis-1")
				require.Equal(r, map[string]uint64{"renegotiations": 1}, r.saw(), "soon, and not once the set-up's time is over")
				redial := r.latestOffer()
				require.Equal(r, "jarvis-1", redial.Get(wire.HeaderLostPod))
				require.Empty(r, redial.Get(wire.HeaderMigrate), "a token is for its second call only")
				require.Equal(r, "jarvis-2", r.fleet.Holder(id))
				require.Len(r, r.heard(), 1)
				require.Less(r, r.heard()[0].Duration, 500*time.Millisecond)
			})
		})
	}
}

func TestTheNewPodIsNamedOnceTheCallIsThere(t *testing.T) {
	inBubble(t, (&to{}).route, nil, func(r *rig) {
		r.fleet.Migrate(id, "jarvis-2")
		r.pass(time.Second)
		r.kill("jarvis-2")
		require.Equal(r, map[string]uint64{"migrations": 1, "renegotiations": 1}, r.saw())
		require.Equal(r, "jarvis-2", r.latestOffer().Get(wire.HeaderLostPod))
	})
}

// TestTheEndOfASecondCallIsNotTheFirstOnes: a stream that is opened while a call is on standby tells of that one. Its end is no reason to
// stop listening: the first call goes on, and its pod tells the caller again.
func TestTheEndOfASecondCallIsNotTheFirstOnes(t *testing.T) {
	inBubble(t, (&to{}).route, nil, func(r *rig) {
		const asking = time.Second
		var asked atomic.Int32
		r.fleet.Grant = func() bool {
			lasts(asking)
			return asked.Add(1) > 1
		}
		r.fleet.Migrate(id, "jarvis-2")
		r.pass(fakefleet.Setup / 2)
		_, err := r.fleet.Do(r.Context(), scenario.Event{Kind: scenario.KindSmaran})
		require.NoError(r, err)
		r.pass(asking / 2)
		require.Equal(r, 2, r.streams())
		require.Equal(r, "jarvis-2", r.fleet.Holder(id), "control: that is whose events come now")
		r.pass(asking)
		require.Equal(r, map[string]uint64{"migration: transport": 1}, r.sideErrors())
		require.Equal(r, 3, r.streams(), "the first one's again")
		r.pass(2 * asking)
		require.Equal(r, "jarvis-2", r.fleet.Holder(id))
		require.Equal(r, uint64(1), r.saw()["migrations"])
		require.NotContains(r, r.saw(), "renegotiations")
	})
}

func TestEachCallerMovesByItsOwnToken(t *testing.T) {
	const other = "9b1d8f6e-2f0a-4f57-8a52-4f7a1f3c0b77"
	inBubble(t, (&to{}).route, nil, func(r *rig) {
		cfg := r.config
		cfg.Session = other
		cfg.Phone = (&fakefleet.Phones{Fleet: r.fleet}).Handset(1, 0, nil)
		second, err := client.New(cfg)
		require.NoError(r, err)
		r.done.Go(func() { second.Run(r.ctx) })
		second.Place()
		r.pass(time.Second)
		r.fleet.Migrate(other, "jarvis-3")
		r.fleet.Migrate(id, "jarvis-2")
		r.pass(time.Second)
		require.Equal(r, "jarvis-2", r.fleet.Holder(id))
		require.Equal(r, "jarvis-3", r.fleet.Holder(other))
		tokens := map[string]string{}
		for _, offer := range r.fleet.Offers() {
			if token := offer.Get(wire.HeaderMigrate); token != "" {
				tokens[offer.Get(session.Header)] = token
			}
		}
		require.Equal(r, map[string]string{other: "token-1", id: "token-2"}, tokens)
	})
}

func TestAnswersThatWerePassedOnAreCounted(t *testing.T) {
	inBubble(t, (&to{}).route, nil, func(r *rig) {
		r.infer()
		require.NotContains(r, r.saw(), "forwards", "control")
		r.fleet.Intercept = func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set(wire.HeaderForwarded, "jarvis-2")
			return false
		}
		r.infer()
		r.caller.Trickle(r.Context())
		r.caller.Control(r.Context())
		require.Equal(r, map[string]uint64{"first_loads": 1, "forwards": 3}, r.saw(), "it is no misroute, and nothing is lost")
	})
}
