package client_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/smaran-v2/smaran/loadtest/internal/client"
	"github.com/smaran-v2/smaran/loadtest/internal/fakefleet"
	"github.com/smaran-v2/smaran/loadtest/internal/peer"
	"github.com/smaran-v2/smaran/loadtest/internal/scenario"
	"github.com/smaran-v2/smaran/loadtest/internal/tally"
	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const id = "3f0c7a52-8d1e-4b7a-9b1e-0a5f6c2d4e11"

// rig is one caller of a fake fleet, in a bubble: time passes when everybody waits, and a goroutine left over fails the test.
type rig struct {
	*testing.T
	fleet    *fakefleet.Fleet
	caller   *client.Caller
	recorder *tally.Recorder
	config   client.Config
	ctx      context.Context
	stop     context.CancelFunc
	done     sync.WaitGroup

	mu   sync.Mutex
	gaps []peer.Gap
}

// inBubble runs a test with a caller whose call is up, unless change says otherwise.
func inBubble(t *testing.T, route fakefleet.Route, change func(*client.Config), test func(*rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		fleet := fakefleet.New(3, route)
		transport := fleet.Transport()
		phones := &fakefleet.Phones{Fleet: fleet}
		r := &rig{T: t, fleet: fleet, recorder: tally.NewRecorder(0, time.Hour, nil)}
		cfg := client.Config{
			Session: id, BaseURLs: []string{fakefleet.URL}, Transport: transport, Phone: phones.Handset(0, 0, r.hears), Recorder: r.recorder,
			Clock: clockwork.NewRealClock(), Epoch: time.Now(), Random: rand.New(rand.NewPCG(1, 1)), Log: slog.New(slog.DiscardHandler),
		}
		if change != nil {
			change(&cfg)
		}
		var err error
		r.caller, err = client.New(cfg)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		r.config, r.ctx, r.stop = cfg, ctx, cancel
		r.done.Go(func() { r.caller.Run(ctx) })
		defer func() {
			cancel()
			r.done.Wait()
			transport.CloseIdleConnections()
			require.NoError(t, fleet.Down(t.Context()))
		}()
		r.caller.Place()
		r.pass(time.Second)
		test(r)
	})
}

// lasts is for what takes time in the bubble.
func lasts(d time.Duration) { time.Sleep(d) }

// pass lets time pass in the bubble.
func (r *rig) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// hears is told of each gap in the agent's media.
func (r *rig) hears(g peer.Gap) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gaps = append(r.gaps, g)
}

func (r *rig) heard() []peer.Gap {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.gaps)
}

func (r *rig) infer() { r.caller.Infer(r.Context(), 0) }

// saw is what the recorder has, without what is zero.
func (r *rig) saw() map[string]uint64 {
	records, _ := tally.Merge([]*tally.Recorder{r.recorder})
	out := tally.Counts(records, 0, time.Hour, true)
	for name, n := range out {
		if n == 0 {
			delete(out, name)
		}
	}
	return out
}

func (r *rig) setups() []tally.Setup {
	records, _ := tally.Merge([]*tally.Recorder{r.recorder})
	return records.Setups
}

// to routes every session to one pod, by index, which may be changed.
type to struct {
	mu  sync.Mutex
	pod int
}

func (t *to) set(pod int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pod = pod
}

func (t *to) route(string, []affinity.Host) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.pod
}

func TestASteadyCallHasNothingToReport(t *testing.T) {
	inBubble(t, (&to{}).route, nil, func(r *rig) {
		for range 3 {
			r.infer()
		}
		r.caller.Trickle(r.Context())
		r.caller.Control(r.Context())
		require.Equal(r, map[string]uint64{"first_loads": 1}, r.saw())
		require.Equal(r, "jarvis-1", r.fleet.Holder(id))
		require.Len(r, r.setups(), 1)
		require.Equal(r, 1, r.fleet.Count("PATCH "+wire.PathCall(id)))
		require.Equal(r, 1, r.fleet.Count("POST "+wire.PathCallControl(id)))
	})
}

func TestACallerWhoCallsAgainGoesOnWithItsConversation(t *testing.T) {
	inBubble(t, (&to{}).route, nil, func(r *rig) {
		r.infer()
		r.stop()
		r.done.Wait()
		require.Empty(r, r.fleet.Holder(id), "it hung up")
		r.pass(time.Minute)
		ctx, stop := context.WithCancel(r.Context())
		defer r.done.Wait()
		defer stop()
		r.done.Go(func() { r.caller.Run(ctx) })
		r.pass(time.Second)
		require.Equal(r, "jarvis-1", r.fleet.Holder(id))
		r.infer()
		require.Equal(r, map[string]uint64{"first_loads": 1}, r.saw())
		require.Len(r, r.setups(), 2)
		require.False(r, r.setups()[1].Redial, "nothing was lost")
	})
}

func TestACallerCanLeaveTheHeaderOutForAWhile(t *testing.T) {
	inBubble(t, (&to{}).route, nil, func(r *rig) {
		r.infer()
		r.caller.LeaveOut(true)
		r.infer()
		require.Equal(r, map[string]uint64{"first_loads": 1, "requests_failed": 1}, r.saw(), "the fleet insists on it")
		r.caller.LeaveOut(false)
		r.infer()
		require.Equal(r, map[string]uint64{"first_loads": 1, "requests_failed": 1}, r.saw())
	})
}

func TestAMisrouteIsFollowedByARedialWithoutALostPod(t *testing.T) {
	where := &to{}
	inBubble(t, where.route, nil, func(r *rig) {
		r.infer()
		where.set(1)
		r.infer()
		r.pass(time.Second)
		require.Equal(r, "jarvis-2", r.fleet.Holder(id), "the call follows")
		r.infer()
		require.Equal(r, map[string]uint64{
			"first_loads": 1, "misroutes": 1, "misrouted_requests": 1, "cold_starts": 1, "renegotiations": 1,
			"state_lost": 1, "dropped_state_lost": 1, "dropped_calls": 1,
		}, r.saw())
		offers := r.fleet.Offers()
		require.Len(r, offers, 2)
		require.Empty(r, offers[1].Get(wire.HeaderLostPod))
	})
}

func TestOnMisrouteStayLeavesTheCallWhereItIs(t *testing.T) {
	where := &to{}
	inBubble(t, where.route, func(c *client.Config) { c.OnMisroute = client.Stay }, func(r *rig) {
		r.infer()
		where.set(1)
		r.infer()
		r.infer()
		r.pass(time.Second)
		require.Equal(r, "jarvis-1", r.fleet.Holder(id))
		require.Equal(r, map[string]uint64{
			"first_loads": 1, "misroutes": 2, "misrouted_requests": 2, "unspoken": 2, "cold_starts": 1, "state_lost": 1, "dropped_state_lost": 1, "dropped_calls": 1,
		}, r.saw(), "the second answer there continues the conversation that began there")
		require.Len(r, r.fleet.Offers(), 1)
	})
}

func TestAnsweredOwnerMovedIsAMisrouteToo(t *testing.T) {
	for name, send := range map[string]func(*client.Caller, context.Context){
		"candidate": (*client.Caller).Trickle, "control message": (*client.Caller).Control,
	} {
		t.Run(name, func(t *testing.T) {
			where := &to{}
			inBubble(t, where.route, nil, func(r *rig) {
				where.set(2)
				send(r.caller, r.Context())
				r.pass(time.Second)
				require.Equal(r, map[string]uint64{"misroutes": 1, "renegotiations": 1}, r.saw())
				require.Equal(r, "jarvis-3", r.fleet.Holder(id))
			})
		})
	}
}

func TestALostPodIsNamedInTheRedial(t *testing.T) {
	where := &to{}
	inBubble(t, where.route, nil, func(r *rig) {
		_, err := r.fleet.Do(r.Context(), scenario.Event{Kind: scenario.KindKill, Pod: "jarvis-1"})
		require.NoError(r, err)
		r.pass(time.Second)
		require.Equal(r, map[string]uint64{"renegotiations": 1}, r.saw())
		require.Equal(r, "jarvis-1", r.fleet.Offers()[1].Get(wire.HeaderLostPod))
		require.Equal(r, "jarvis-2", r.fleet.Holder(id), "although the route still names the dead one")
		require.True(r, r.setups()[1].Redial)
	})
}

func TestTheWatchdogSeesWhatTheEventStreamDoesNot(t *testing.T) {
	inBubble(t, (&to{}).route, nil, func(r *rig) {
		r.fleet.Intercept = func(w http.ResponseWriter, req *http.Request) bool {
			if req.URL.Path == wire.PathCallEvents(id) {
				<-req.Context().Done() // a stream that hangs
				return true
			}
			return false
		}
		_, err := r.fleet.Do(r.Context(), scenario.Event{Kind: scenario.KindSmaran}) // the caller opens its stream again, and it hangs
		require.NoError(r, err)
		r.pass(time.Second)
		_, err = r.fleet.Do(r.Context(), scenario.Event{Kind: scenario.KindKill, Pod: "jarvis-1"})
		require.NoError(r, err)
		r.pass(time.Second)
		require.Equal(r, map[string]uint64{"renegotiations": 1, "signal_reconnects": 1}, r.saw())
		require.Equal(r, "jarvis-1", r.fleet.Offers()[1].Get(wire.HeaderLostPod))
	})
}

func TestAStreamThatEndsWithoutAWordIsOpenedAgainAndTheCallGoesOn(t *testing.T) {
	inBubble(t, (&to{}).route, nil, func(r *rig) {
		for range 3 {
			_, err := r.fleet.Do(r.Context(), scenario.Event{Kind: scenario.KindSmaran})
			require.NoError(r, err)
			r.pass(time.Second)
		}
		require.Equal(r, map[string]uint64{"signal_reconnects": 3}, r.saw())
		require.Equal(r, 4, r.fleet.Count("GET "+wire.PathCallEvents(id)))
		require.Len(r, r.fleet.Offers(), 1)
	})
}

func TestAStreamThatEndsShortlyBeforeItsMediaIsNoReconnect(t *testing.T) {
	inBubble(t, (&to{}).route, nil, func(r *rig) {
		_, err := r.fleet.Do(r.Context(), scenario.Event{Kind: scenario.KindSmaran})
		require.NoError(r, err)
		r.pass(100 * time.Millisecond)
		_, err = r.fleet.Do(r.Context(), scenario.Event{Kind: scenario.KindKill, Pod: "jarvis-1"})
		require.NoError(r, err)
		r.pass(time.Second)
		require.Equal(r, map[string]uint64{"renegotiations": 1}, r.saw())
	})
}

func TestACallWithoutMediaForTenSecondsIsDroppedOnce(t *testing.T) {
	inBubble(t, (&to{}).route, nil, func(r *rig) {
		var back sync.Map
		r.fleet.Intercept = func(w http.ResponseWriter, req *http.Request) bool {
			if _, ok := back.Load("up"); ok || req.URL.Path != wire.PathCalls {
				return false
			}
			wire.Problem{Status: http.StatusServiceUnavailable, Code: wire.CodeNoPods}.Write(w)
			return true
		}
		_, err := r.fleet.Do(r.Context(), scenario.Event{Kind: scenario.KindKill, Pod: "jarvis-1"})
		require.NoError(r, err)
		r.pass(8 * time.Second)
		require.NotContains(r, r.saw(), "dropped_calls", "not yet")
		r.pass(20 * time.Second)
		require.EqualValues(r, 1, r.saw()["dropped_no_media"])
		back.Store("up", true)
		r.pass(5 * time.Second)
		saw := r.saw()
		require.EqualValues(r, 1, saw["dropped_calls"])
		require.EqualValues(r, 1, saw["renegotiations"], "one, however many attempts it took")
		require.Greater(r, saw["setup_failures"], uint64(10), "each attempt that failed")
		require.NotEmpty(r, r.fleet.Holder(id))
		require.Greater(r, r.setups()[1].Took, 20*time.Second, "from the first attempt")
	})
}

func TestARedialWithinTenSecondsDropsNothing(t *testing.T) {
	inBubble(t, (&to{}).route, nil, func(r *rig) {
		_, err := r.fleet.Do(r.Context(), scenario.Event{Kind: scenario.KindKill, Pod: "jarvis-1"})
		require.NoError(r, err)
		r.pass(30 * time.Second)
		require.NotContains(r, r.saw(), "dropped_calls")
	})
}

func TestFailedInferencesAreCountedByCode(t *testing.T) {
	inBubble(t, func(string, []affinity.Host) int { return -1 }, nil, func(r *rig) {
		r.infer()
		require.EqualValues(r, 1, r.saw()["requests_failed"])
		records, _ := tally.Merge([]*tally.Recorder{r.recorder})
		require.Equal(r, string(wire.CodeUpstreamUnavailable), records.Inferences[0].Error)
		require.NotZero(r, records.SideErrors[string(wire.CodeUpstreamUnavailable)], "and the call that can't be placed apart")
	})
}

func TestTheCallerEchoesTheStatefulSessionItWasGiven(t *testing.T) {
	inBubble(t, (&to{}).route, nil, func(r *rig) {
		var mu sync.Mutex
		var tokens, cookies []string
		r.fleet.Intercept = func(w http.ResponseWriter, req *http.Request) bool {
			if req.URL.Path != wire.PathInference {
				return false
			}
			mu.Lock()
			defer mu.Unlock()
			tokens = append(tokens, req.Header.Get(wire.HeaderStateful))
			value := ""
			if c, err := req.Cookie(wire.CookieStateful); err == nil {
				value = c.Value
			}
			cookies = append(cookies, value)
			if n := len(tokens); n < 3 {
				w.Header().Set(wire.HeaderStateful, fmt.Sprint("sealed-", n))
				http.SetCookie(w, &http.Cookie{Name: wire.CookieStateful, Value: fmt.Sprint("cookie-", n), Path: "/", HttpOnly: true})
			}
			return false
		}
		for range 4 {
			r.infer()
		}
		require.Equal(r, []string{"", "sealed-1", "sealed-2", "sealed-2"}, tokens, "none made up, and the last one kept")
		require.Equal(r, []string{"", "cookie-1", "cookie-2", "cookie-2"}, cookies)
	})
}

func TestTheEndOfARunHangsUp(t *testing.T) {
	inBubble(t, (&to{}).route, nil, func(r *rig) {
		require.NotEmpty(r, r.fleet.Holder(id))
		r.stop()
		r.done.Wait()
		require.Empty(r, r.fleet.Holder(id))
		require.Equal(r, 1, r.fleet.Count("DELETE "+wire.PathCall(id)))
		require.Empty(r, r.saw(), "which is no loss")
	})
}

func TestWhatTheEndOfARunBreaksOff(t *testing.T) {
	for cause, want := range map[error]map[string]uint64{
		client.ErrCutOff:     {},
		client.ErrUnfinished: {"requests_failed": 1},
	} {
		inBubble(t, (&to{}).route, nil, func(r *rig) {
			ctx, cut := context.WithCancelCause(r.Context())
			var asking sync.WaitGroup
			asking.Go(func() { r.caller.Infer(ctx, 0) })
			r.pass(10 * time.Millisecond)
			cut(cause)
			asking.Wait()
			require.Equal(r, want, r.saw())
		})
	}
}

func TestHeaderlessCallersSendNoSession(t *testing.T) {
	inBubble(t, (&to{}).route, func(c *client.Config) { c.Headerless = true }, func(r *rig) {
		r.infer()
		records, _ := tally.Merge([]*tally.Recorder{r.recorder})
		require.Equal(r, "session_missing", records.Inferences[0].Error, "a strict fleet refuses it")
	})
}

func TestOnMisrouteIsAWordOfTwo(t *testing.T) {
	var o client.OnMisroute
	require.NoError(t, o.UnmarshalText([]byte("stay")))
	require.Equal(t, client.Stay, o)
	require.True(t, errors.Is(o.UnmarshalText([]byte("panic")), client.ErrOnMisroute))
}
