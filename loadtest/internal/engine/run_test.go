package engine_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/smaran-v2/smaran/loadtest/internal/client"
	"github.com/smaran-v2/smaran/loadtest/internal/driver"
	"github.com/smaran-v2/smaran/loadtest/internal/engine"
	"github.com/smaran-v2/smaran/loadtest/internal/fakefleet"
	"github.com/smaran-v2/smaran/loadtest/internal/peer"
	"github.com/smaran-v2/smaran/loadtest/internal/plan"
	"github.com/smaran-v2/smaran/loadtest/internal/scenario"
	"github.com/smaran-v2/smaran/loadtest/internal/tally"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// spec is twelve callers for 15 s after 3 s, on a fleet of three pods.
func spec(events ...string) engine.Spec {
	s := engine.Spec{
		Backend:   "istio-hash",
		Scenario:  scenario.Scenario{Name: "test", Pods: 3, Duration: 15 * time.Second},
		Repeat:    1,
		Load:      plan.Load{Calls: 12, Rate: 24, Warmup: 3 * time.Second, Seed: 1},
		Behaviour: engine.Behaviour{OnMisroute: client.Redial, GapThreshold: 200 * time.Millisecond},
	}
	for _, text := range events {
		e, err := scenario.ParseEvent(text)
		if err != nil {
			panic(err)
		}
		s.Scenario.Events = append(s.Scenario.Events, e)
	}
	return s
}

// bench is an engine with a fake fleet, in a bubble.
type bench struct {
	engine *engine.Engine
	fleet  *fakefleet.Fleet
	driver *fakefleet.Driver
	phones *fakefleet.Phones
	ctx    context.Context
	cancel context.CancelFunc
}

func inBubble(t *testing.T, route fakefleet.Route, test func(*testing.T, *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := fakefleet.New(3, route)
		b := &bench{fleet: f, driver: &fakefleet.Driver{Fleets: []*fakefleet.Fleet{f}}, phones: &fakefleet.Phones{Fleet: f}}
		b.engine = &engine.Engine{
			Driver: b.driver, Phones: b.phones, Dial: f.Dial, Clock: clockwork.NewRealClock(), Log: slog.New(slog.DiscardHandler),
		}
		b.ctx, b.cancel = context.WithCancel(t.Context())
		defer b.cancel()
		test(t, b)
		require.True(t, f.IsDown(), "the fleet is taken down, whatever happens")
	})
}

// run wants a result without an error.
func (b *bench) run(t *testing.T, s engine.Spec) *reportv1.Result {
	t.Helper()
	r, err := b.engine.Run(b.ctx, s)
	require.NoError(t, err)
	return r
}

func TestASteadyRunMeasuresNothingButInferences(t *testing.T) {
	inBubble(t, fakefleet.Ring, func(t *testing.T, b *bench) {
		r := b.run(t, spec())
		require.True(t, r.GetValid(), r.GetInvalidReasons())
		for name, n := range r.GetCounts() {
			require.Zero(t, n, name)
		}
		require.Contains(t, r.GetCounts(), "mispredicted_sessions", "predicted and found right, without any event")
		require.NotContains(t, r.GetCounts(), "moved_sessions", "nothing could move them")
		require.InDelta(t, 24*15, float64(r.GetLoad().GetRequests()), 12)
		require.InDelta(t, 24, r.GetLoad().GetActualQps(), 1)
		require.InDelta(t, 12*15.0/60, r.GetDenominators().GetCallMinutes(), 1e-9)
		require.EqualValues(t, 12, r.GetDenominators().GetCallsPlaced())
		require.Equal(t, r.GetLoad().GetRequests(), r.GetHistograms()["inference_ms"].GetCount())
		require.InDelta(t, 100, r.GetHistograms()["inference_ms"].GetMax(), 0.2)
		require.InDelta(t, 20, r.GetHistograms()["setup_ms"].GetMax(), 0.1)
		require.Equal(t, "400 session_missing", r.GetSettings()["no_header_answer"])
		require.Equal(t, "1024", r.GetSettings()["ring_size"])
		require.Len(t, strings.Split(r.GetSettings()[engine.SettingPods], engine.PodSeparator), 3, "where the pods started")
		require.Zero(t, r.GetGenerator().GetLateShare())
		require.Greater(t, r.GetGenerator().GetMaxRssBytes(), 1e6)
		require.Equal(t, []driver.Spec{{Backend: "istio-hash", Pods: 3, Seed: 1}}, b.driver.Specs)
	})
}

func TestTheSameSeedSendsAndMovesTheSame(t *testing.T) {
	var same []string
	for range 2 {
		inBubble(t, fakefleet.Ring, func(t *testing.T, b *bench) {
			r := b.run(t, spec("4s:kill", "9s:scale=10"))
			c := r.GetCounts()
			same = append(same, fmt.Sprint(r.GetLoad(), r.GetPods(), c["moved_sessions"], c["cold_starts"], c["requests_failed"]))
		})
	}
	require.Equal(t, same[0], same[1])
}

func TestScalingMovesWhatTheRingPredicts(t *testing.T) {
	inBubble(t, fakefleet.Ring, func(t *testing.T, b *bench) {
		r := b.run(t, spec("5s:scale=10"))
		require.True(t, r.GetValid(), r.GetInvalidReasons())
		e := r.GetEvents()[0]
		require.Equal(t, "scale=10", e.GetName())
		require.InDelta(t, 5000, e.GetPlannedMs(), 0)
		require.InDelta(t, 5000, e.GetStartedMs(), 1)
		require.Len(t, e.GetChanges(), 1)
		require.EqualValues(t, 10, e.GetChanges()[0].GetHealthy())
		require.EqualValues(t, 12, e.GetObservedSessions())
		require.NotZero(t, e.GetMovedSessions())
		require.Equal(t, e.GetMovedSessions(), e.GetPredictedMoved())
		require.InDelta(t, 0.7, e.GetMinimalShare(), 1e-9)
		require.InDelta(t, 5500, e.GetSettledFromMs(), 1)
		require.InDelta(t, 15000, e.GetSettledToMs(), 1)

		moved := e.GetMovedSessions()
		c := r.GetCounts()
		require.Equal(t, moved, c["moved_sessions"])
		require.Equal(t, moved, c["cold_starts"])
		require.Equal(t, moved, c["renegotiations"], "each call follows its session, once")
		require.Equal(t, moved, c["dropped_calls"], "its conversation is lost")
		require.Equal(t, moved, c["state_lost"], "once, however many answers show it")
		require.Zero(t, c["mispredicted_sessions"])
		require.Zero(t, c["scattered_sessions"])
		require.Zero(t, c["dropped_no_media"])
		require.EqualValues(t, moved, r.GetHistograms()["gap_moved_ms"].GetCount())
		require.InDelta(t, 20, r.GetHistograms()["gap_moved_ms"].GetMax(), 0.1, "hang up, then dial")
		require.Zero(t, r.GetHistograms()["gap_unmoved_ms"].GetCount(), "the fake's calls have no packets between")
	})
}

func TestAKilledPodsSessionsComeBackAndWereInterrupted(t *testing.T) {
	inBubble(t, fakefleet.Ring, func(t *testing.T, b *bench) {
		r := b.run(t, spec("5s:kill=jarvis-2"))
		require.True(t, r.GetValid(), r.GetInvalidReasons())
		e := r.GetEvents()[0]
		require.Equal(t, "jarvis-2", e.GetPod())
		require.InDelta(t, 6000, e.GetFinishedMs(), 1)
		require.Zero(t, e.GetMovedSessions(), "it has the same address again")
		require.Nil(t, e.MinimalShare)
		c := r.GetCounts()
		require.NotZero(t, c["requests_failed"])
		require.Equal(t, c["requests_failed"], r.GetErrors()[string(wire.CodeUpstreamUnavailable)])
		require.NotZero(t, c["cold_starts"])
		require.NotZero(t, c["renegotiations"])
		require.Equal(t, c["cold_starts"], e.GetCounts()["cold_starts"])
	})
}

// TestAFleetThatScattersIsCaught is the control of the tests above.
func TestAFleetThatScattersIsCaught(t *testing.T) {
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(5, 5))
	scatter := func(_ string, hosts []affinity.Host) int {
		mu.Lock()
		defer mu.Unlock()
		return random.IntN(len(hosts))
	}
	inBubble(t, scatter, func(t *testing.T, b *bench) {
		r := b.run(t, spec("5s:scale=10"))
		c := r.GetCounts()
		require.EqualValues(t, 12, c["scattered_sessions"])
		require.NotZero(t, c["mispredicted_sessions"])
		require.Greater(t, c["misroutes"], uint64(50))
		require.Greater(t, c["renegotiations"], uint64(50))
	})
}

func TestTheLoadIsOpen(t *testing.T) {
	inBubble(t, fakefleet.Ring, func(t *testing.T, b *bench) {
		start := time.Now()
		b.fleet.Intercept = func(_ http.ResponseWriter, r *http.Request) bool {
			since := time.Since(start)
			if r.URL.Path == wire.PathInference && since > 8*time.Second && since < 11*time.Second {
				time.Sleep(11*time.Second - since) // everything that comes in these three seconds stalls until their end
			}
			return false
		}
		s := spec()
		p, err := plan.New(plan.Load{Calls: 12, Rate: 24, Warmup: 3 * time.Second, Duration: 15 * time.Second, Seed: 1})
		require.NoError(t, err)
		r := b.run(t, s)
		require.EqualValues(t, p.Requests(), r.GetLoad().GetRequests(), "a stalled server gets the same requests")
		h := r.GetHistograms()["inference_ms"]
		require.InDelta(t, 3100, h.GetMax(), 100)
		slow := uint64(0)
		for _, bucket := range h.GetData() {
			if bucket.GetStart() > 500 {
				slow += bucket.GetCount()
			}
		}
		require.InDelta(t, 24*2.6, float64(slow), 10, "every request of the stall shows it, not one a caller")
		require.Zero(t, r.GetGenerator().GetLateShare(), "and the generator was on time")
	})
}

func TestWhatCannotBeSentIsDroppedAndCounted(t *testing.T) {
	inBubble(t, fakefleet.Ring, func(t *testing.T, b *bench) {
		b.fleet.Intercept = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == wire.PathInference {
				<-r.Context().Done()
				return true
			}
			return false
		}
		s := spec()
		s.Load.Rate = 120 // ten a second and caller, and each takes until its time-out
		r := b.run(t, s)
		require.NotZero(t, r.GetGenerator().GetDroppedIterations())
		require.False(t, r.GetValid())
		require.Contains(t, r.GetInvalidReasons()[0], "were not sent")
		require.NotZero(t, r.GetErrors()["client_timeout"])
		require.NotZero(t, r.GetErrors()["unfinished"], "what had no answer when the run was over")
		require.Equal(t, r.GetLoad().GetRequests(), r.GetCounts()["requests_failed"])
	})
}

func TestAnInterruptedRunGivesWhatItHas(t *testing.T) {
	inBubble(t, fakefleet.Ring, func(t *testing.T, b *bench) {
		timer := time.AfterFunc(8*time.Second, b.cancel)
		defer timer.Stop()
		r, err := b.engine.Run(b.ctx, spec("4s:kill", "9s:scale=10"))
		require.ErrorIs(t, err, engine.ErrInterrupted)
		require.False(t, r.GetValid())
		require.Contains(t, r.GetInvalidReasons()[0], "interrupted after 5s of 15s")
		require.InDelta(t, 5000, r.GetDurationMs(), 1)
		require.Len(t, r.GetEvents(), 1)
		require.NotZero(t, r.GetLoad().GetRequests())
		require.NotContains(t, r.GetErrors(), "transport", "what was broken off did not fail")
	})
}

func TestAFleetThatDiesMakesTheRunInvalid(t *testing.T) {
	inBubble(t, fakefleet.Ring, func(t *testing.T, b *bench) {
		timer := time.AfterFunc(8*time.Second, func() { b.fleet.Die(errors.New("the mesh is gone")) })
		defer timer.Stop()
		r := b.run(t, spec())
		require.False(t, r.GetValid())
		require.True(t, slices.Contains(r.GetInvalidReasons(), "the mesh is gone"))
		require.InDelta(t, 5000, r.GetDurationMs(), 1)
	})
}

func TestAnEventThatFailsMakesTheRunInvalid(t *testing.T) {
	inBubble(t, fakefleet.Ring, func(t *testing.T, b *bench) {
		r := b.run(t, spec("4s:freeze", "6s:scale=5"))
		require.False(t, r.GetValid())
		require.Contains(t, r.GetInvalidReasons()[0], "freeze")
		require.Len(t, r.GetEvents(), 2, "the next one is done all the same")
		require.NotEmpty(t, r.GetEvents()[0].GetError())
		require.NotZero(t, r.GetEvents()[1].GetMovedSessions())
	})
}

func TestAnEventThatTheEndOvertakesMakesTheRunInvalid(t *testing.T) {
	inBubble(t, fakefleet.Ring, func(t *testing.T, b *bench) {
		r := b.run(t, spec("14500ms:kill"))
		require.False(t, r.GetValid())
		require.Contains(t, r.GetInvalidReasons()[0], "the run ended first")
	})
}

func TestMediaThatLeftLateMakesTheRunInvalid(t *testing.T) {
	inBubble(t, fakefleet.Ring, func(t *testing.T, b *bench) {
		b.phones.Reported = peer.Lag{P99: 50 * time.Millisecond}
		r := b.run(t, spec())
		require.False(t, r.GetValid())
		require.Contains(t, r.GetInvalidReasons()[0], "media")
	})
}

func TestMediaThatStalledMakesTheRunInvalid(t *testing.T) {
	for lag, valid := range map[time.Duration]bool{200 * time.Millisecond: true, 201 * time.Millisecond: false} {
		inBubble(t, fakefleet.Ring, func(t *testing.T, b *bench) {
			b.phones.Reported = peer.Lag{P99: 5 * time.Millisecond, Max: lag}
			r := b.run(t, spec())
			require.Equal(t, valid, r.GetValid(), lag)
			require.Equal(t, lag.String(), r.GetSettings()["media_lag_max"])
			require.Equal(t, "5ms", r.GetSettings()["media_lag_p99"])
			if !valid {
				require.Contains(t, r.GetInvalidReasons()[0], "the generator stalled")
			}
		})
	}
}

func TestARunWithoutACallMeasuresNothingOfCalls(t *testing.T) {
	inBubble(t, fakefleet.Ring, func(t *testing.T, b *bench) {
		b.fleet.Intercept = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, wire.PathCalls) {
				w.WriteHeader(http.StatusServiceUnavailable)
				return true
			}
			return false
		}
		r := b.run(t, spec("5s:scale=10"))
		require.False(t, r.GetValid())
		require.Contains(t, r.GetInvalidReasons(), "no call came up")
		require.NotZero(t, r.GetCounts()["setup_failures"])
		for _, name := range []string{"dropped_calls", "misroutes", "renegotiations", "media_interruptions", "calls_down_at_end"} {
			require.NotContains(t, r.GetCounts(), name)
			require.NotContains(t, r.GetEvents()[0].GetCounts(), name)
		}
		require.Contains(t, r.GetCounts(), "state_lost")
		require.NotContains(t, r.GetHistograms(), "gap_moved_ms")
		require.Zero(t, r.GetDenominators().GetCallsPlaced())
	})
}

func TestHeaderlessCallersScatterOnALenientFleet(t *testing.T) {
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(5, 5))
	scatter := func(_ string, hosts []affinity.Host) int {
		mu.Lock()
		defer mu.Unlock()
		return random.IntN(len(hosts))
	}
	inBubble(t, scatter, func(t *testing.T, b *bench) {
		s := spec()
		s.Scenario.Headerless = true
		r := b.run(t, s)
		require.True(t, b.driver.Specs[0].Lenient)
		require.EqualValues(t, 12, r.GetCounts()["scattered_sessions"])
		require.Equal(t, r.GetLoad().GetRequests(), r.GetCounts()["cold_starts"], "each one is cold")
		require.NotContains(t, r.GetCounts(), "misroutes", "without calls there is nothing to miss")
		require.NotContains(t, r.GetCounts(), "mispredicted_sessions")
		require.Zero(t, r.GetDenominators().GetCallMinutes())
	})
}

func TestAFleetThatDoesNotStartIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine.Engine{
			Driver: &fakefleet.Driver{Err: driver.ErrStart}, Clock: clockwork.NewRealClock(), Log: slog.New(slog.DiscardHandler),
		}
		_, err := e.Run(t.Context(), spec())
		require.ErrorIs(t, err, driver.ErrStart)
	})
}

func TestAnInterruptHidesNothingThatWasLeft(t *testing.T) {
	left := errors.New("two containers are left")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := (&engine.Engine{Driver: &fakefleet.Driver{Err: errors.Join(ctx.Err(), left)}}).Run(ctx, spec())
	require.ErrorIs(t, err, engine.ErrInterrupted)
	require.ErrorIs(t, err, left)
}

func TestALoadThatCannotBePlannedStartsNoFleet(t *testing.T) {
	d := &fakefleet.Driver{}
	s := spec()
	s.Load.Calls = 0
	_, err := (&engine.Engine{Driver: d}).Run(t.Context(), s)
	require.ErrorIs(t, err, plan.ErrLoad)
	require.Empty(t, d.Specs)
}

func TestTheFullHistogramsAreHandedOut(t *testing.T) {
	inBubble(t, fakefleet.Ring, func(t *testing.T, b *bench) {
		var got map[string]tally.Histogram
		b.engine.Histograms = func(_ engine.Spec, h map[string]tally.Histogram) { got = h }
		r := b.run(t, spec())
		require.EqualValues(t, r.GetHistograms()["inference_ms"].GetCount(), got["inference_ms"].Count())
	})
}
