package crowd_test

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/smaran-v2/smaran/loadtest/internal/crowd"
	"github.com/smaran-v2/smaran/loadtest/internal/fakefleet"
	"github.com/smaran-v2/smaran/loadtest/internal/plan"
	"github.com/smaran-v2/smaran/loadtest/internal/scenario"
	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/services/session"
)

func TestACrowdWithoutAnOrderDoesNothing(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.pass(10 * time.Second)
		require.Len(r, r.stage.Hellos(), 1)
		require.Equal(r, "a", r.stage.Hellos()[0].GetLane())
		require.Equal(r, "v-test", r.stage.Hellos()[0].GetVersion())
		require.Empty(r, r.stage.Take())
		require.Zero(r, r.fleet.Count("POST /inference"))
	})
}

func TestACrowdTellsWhatItsCallersSee(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.order(order(12, 24))
		r.pass(time.Second)
		told := r.stage.Take()
		require.NotEmpty(r, told)
		first := &stagev1.Observations{}
		for i := range told {
			if i > 0 {
				require.GreaterOrEqual(r, told[i].At.Sub(told[i-1].At), 100*time.Millisecond, "ten times a second at most")
			}
			proto.Merge(first, told[i].Observations)
		}
		r.pass(2 * time.Second)
		proto.Merge(first, r.seen(1))
		calls := up(first, nil)
		require.Len(r, calls, 12)
		for session, pod := range calls {
			require.Equal(r, r.fleet.Holder(session), pod)
		}
		cold := map[string]bool{}
		for _, i := range first.GetInferences() {
			if i.GetState() == "cold" {
				require.True(r, i.GetFirst())
				cold[i.GetSession()] = true
			}
		}
		require.Len(r, cold, 12, "each once")

		r.pass(10 * time.Second)
		seen := r.seen(1)
		require.InDelta(r, 240, len(seen.GetInferences()), 12)
		for _, i := range seen.GetInferences() {
			require.Contains(r, calls, i.GetSession())
			require.Equal(r, "warm", i.GetState())
			require.InDelta(r, fakefleet.Warm, i.GetLatency().AsDuration(), float64(time.Millisecond))
			require.Zero(r, i.GetLate().AsDuration())
			require.False(r, i.GetFirst())
			require.Equal(r, calls[i.GetSession()], i.GetPod())
			require.NotEmpty(r, i.GetAddress())
			require.LessOrEqual(r, i.GetAgo().AsDuration(), 100*time.Millisecond)
		}
		require.Empty(r, seen.GetOccurrences(), "nothing happens")
		require.Empty(r, seen.GetCalls())
		require.Zero(r, seen.GetUntold())
	})
}

// sessionsOf are the first n of order's.
func sessionsOf(take uint32, n int) []string {
	var out []string
	for _, id := range plan.NewEndless(7, take).Sessions(n) {
		out = append(out, string(id))
	}
	return out
}

func (r *rig) hangups(sessions []string) int {
	n := 0
	for _, session := range sessions {
		n += r.fleet.Count("DELETE /v1/calls/" + session)
	}
	return n
}

func TestCallersComeAndGo(t *testing.T) {
	inBubble(t, func(r *rig) {
		all := sessionsOf(1, 12)
		r.order(order(4, 8))
		r.pass(3 * time.Second)
		require.ElementsMatch(r, all[:4], slices.Collect(maps.Keys(up(r.seen(1), nil))))

		r.order(order(12, 24))
		r.pass(100 * time.Millisecond)
		some := up(r.seen(1), nil)
		require.NotEmpty(r, some)
		require.Less(r, len(some), 8, "one after another")
		r.pass(3 * time.Second)
		now := up(r.seen(1), some)
		require.ElementsMatch(r, all[4:], slices.Collect(maps.Keys(now)), "those who were there keep their calls")
		require.Zero(r, r.hangups(all))

		r.order(order(3, 6))
		r.pass(time.Second)
		seen := r.seen(1)
		require.Empty(r, up(seen, now))
		require.Equal(r, 9, r.hangups(all), "the last ones hang up")
		require.Equal(r, 9, r.hangups(all[3:]))
		require.Empty(r, seen.GetOccurrences(), "which is no loss")
		r.pass(5 * time.Second)
		asked := by(r.seen(1))
		require.Len(r, asked, 3)
		for _, session := range all[:3] {
			require.InDelta(r, 10, asked[session], 2, "as often as before")
		}

		r.order(order(12, 24))
		r.pass(5 * time.Second)
		back := r.seen(1)
		require.Len(r, up(back, nil), 9)
		require.Empty(r, back.GetOccurrences())
		for _, g := range back.GetGaps() {
			require.Less(r, g.GetLength().AsDuration(), time.Second, "who had hung up did not wait for the agent")
		}
		for _, i := range back.GetInferences() {
			require.False(r, i.GetFirst(), "the conversation goes on")
			require.Equal(r, "warm", i.GetState())
		}
		require.Equal(r, 9, r.hangups(all))

		r.order(order(0, 0))
		r.pass(time.Second)
		require.Equal(r, 21, r.hangups(all))
		r.seen(1)
		r.pass(10 * time.Second)
		require.Empty(r, r.stage.Take(), "nobody is there")
	})
}

// TestCallersThatAreNotWantedForAMomentStayTheSame has a call hung up and wanted again before that is done.
func TestCallersThatAreNotWantedForAMomentStayTheSame(t *testing.T) {
	inBubble(t, func(r *rig) {
		var slow atomic.Bool
		r.fleet.Intercept = func(_ http.ResponseWriter, q *http.Request) bool {
			if slow.Load() && q.Method == http.MethodDelete {
				time.Sleep(time.Second)
			}
			return false
		}
		r.order(order(2, 2))
		r.pass(3 * time.Second)
		slow.Store(true)
		r.order(order(1, 2))
		r.pass(500 * time.Millisecond)
		r.order(order(2, 2))
		r.pass(400 * time.Millisecond)
		require.Len(r, up(r.seen(1), nil), 1, "it is still hanging up")
		r.pass(2 * time.Second)
		require.Len(r, up(r.seen(1), nil), 1)
		for _, session := range sessionsOf(1, 2) {
			require.NotEmpty(r, r.fleet.Holder(session), "the call that came after has not been hung up with the one before")
		}
	})
}

func TestARateIsForAllCallersTogether(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.order(order(10, 10))
		r.pass(5 * time.Second)
		r.seen(1)
		r.order(order(10, 100))
		r.pass(5 * time.Second)
		fast := r.seen(1)
		require.InDelta(r, 500, len(fast.GetInferences()), 30)
		for session, n := range by(fast) {
			require.InDelta(r, 50, n, 6, session)
		}
		require.Empty(r, fast.GetCalls(), "on the calls that there are")
		r.order(order(10, 10))
		r.pass(500 * time.Millisecond)
		r.seen(1) // with answers that were under way
		r.pass(5 * time.Second)
		require.InDelta(r, 50, len(r.seen(1).GetInferences()), 8)
	})
}

func TestIntendedTimesDoNotDependOnReplies(t *testing.T) {
	times := func(slow bool) (out []time.Duration) {
		inBubble(t, func(r *rig) {
			r.fleet.Intercept = func(http.ResponseWriter, *http.Request) bool {
				if slow {
					time.Sleep(700 * time.Millisecond)
				}
				return false
			}
			began := time.Now()
			r.order(order(5, 20))
			r.pass(4 * time.Second)
			for _, told := range r.stage.Take() {
				for _, i := range told.GetInferences() {
					at := told.At.Sub(began) - i.GetAgo().AsDuration() - i.GetLatency().AsDuration()
					if at < 2*time.Second {
						out = append(out, at)
					}
				}
			}
		})
		slices.Sort(out)
		return out
	}
	fast := times(false)
	require.NotEmpty(t, fast)
	require.Equal(t, fast, times(true))
}

func TestAnotherTakeIsOtherSessionsAndTheirConversationsAnew(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.order(order(6, 12))
		r.pass(4 * time.Second)
		require.Len(r, up(r.seen(1), nil), 6)
		again := order(6, 12)
		again.Take = 2
		r.order(again)
		r.pass(4 * time.Second)
		require.Equal(r, 6, r.hangups(sessionsOf(1, 6)))
		for _, session := range sessionsOf(1, 6) {
			require.Empty(r, r.fleet.Holder(session))
		}
		seen := r.seen(2)
		require.ElementsMatch(r, sessionsOf(2, 6), slices.Collect(maps.Keys(up(seen, nil))))
		require.ElementsMatch(r, sessionsOf(2, 6), slices.Collect(maps.Keys(by(seen))))
		require.Empty(r, seen.GetOccurrences())
		firsts := map[string]bool{}
		for _, i := range seen.GetInferences() {
			if i.GetFirst() {
				firsts[i.GetSession()] = true
			}
		}
		require.Len(r, firsts, 6)
		r.pass(2 * time.Second)
		require.Empty(r, r.seen(1).GetInferences(), "nothing is told of the one before")
	})
}

// TestLanesGetTheSame compares what two crowds of two fleets send, over a change of everything.
func TestLanesGetTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newRig(t, "a"), newRig(t, "b")
		defer a.end()
		defer b.end()
		a.pass(time.Second)
		began := time.Now()
		both := func(o *stagev1.CrowdOrder) {
			for _, r := range []*rig{a, b} {
				r.order(proto.CloneOf(o))
			}
			a.pass(3 * time.Second)
		}
		asks := func(r *rig) (out []string) {
			for _, told := range r.stage.Take() {
				for _, i := range told.GetInferences() {
					at := told.At.Sub(began) - i.GetAgo().AsDuration() - i.GetLatency().AsDuration()
					out = append(out, fmt.Sprint(told.GetTake(), " ", i.GetSession(), " ", at))
				}
			}
			slices.Sort(out)
			return out
		}
		both(order(8, 16))
		both(order(12, 40))
		both(order(5, 40))
		_, err := b.fleet.Do(t.Context(), scenario.Event{Kind: scenario.KindScale, Pods: 7})
		require.NoError(t, err) // what happens to a lane changes nothing of it
		both(order(20, 10))
		again := order(20, 20)
		again.Take = 2
		both(again)
		both(order(0, 0)) // so that all is answered
		want, got := asks(a), asks(b)
		require.Greater(t, len(want), 200)
		require.Equal(t, want, got)
	})
}

func TestWithoutTheHeaderCallersOnlyAsk(t *testing.T) {
	inBubble(t, func(r *rig) {
		var named, unnamed atomic.Int64
		r.fleet.Intercept = func(_ http.ResponseWriter, q *http.Request) bool {
			if q.URL.Path == "/inference" {
				if q.Header.Get(session.Header) == "" {
					unnamed.Add(1)
				} else {
					named.Add(1)
				}
			}
			return false
		}
		r.order(order(6, 12))
		r.pass(4 * time.Second)
		require.Zero(r, unnamed.Load())
		require.Len(r, up(r.seen(1), nil), 6)

		dropped := order(6, 12)
		dropped.Headerless = true
		r.order(dropped)
		r.pass(time.Second)
		require.Equal(r, 6, r.hangups(sessionsOf(1, 6)))
		r.seen(1)
		had := named.Load()
		r.pass(5 * time.Second)
		require.Equal(r, had, named.Load())
		require.InDelta(r, 60+12, unnamed.Load(), 6, "as often as before")
		seen := r.seen(1)
		require.Empty(r, seen.GetCalls())
		for _, i := range seen.GetInferences() {
			require.Equal(r, "failed", i.GetState(), "of a fleet that insists on it")
			require.Equal(r, "session_missing", i.GetError())
		}

		had = unnamed.Load()
		r.order(order(6, 12))
		r.pass(4 * time.Second)
		require.Equal(r, had, unnamed.Load())
		seen = r.seen(1)
		require.Len(r, up(seen, nil), 6, "and the calls are back")
		require.Empty(r, seen.GetOccurrences())
		for _, i := range seen.GetInferences() {
			require.False(r, i.GetFirst())
		}
	})
}

func TestWhatIsLostIsToldByItsClass(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.order(order(12, 24))
		r.pass(4 * time.Second)
		before := up(r.seen(1), nil)
		pod := r.fleet.Holder(sessionsOf(1, 1)[0])
		had := 0
		for _, p := range before {
			if p == pod {
				had++
			}
		}
		_, err := r.fleet.Do(r.Context(), scenario.Event{Kind: scenario.KindKill, Pod: pod})
		require.NoError(r, err)
		r.pass(5 * time.Second)
		seen := r.seen(1)
		happened := classes(seen)
		require.GreaterOrEqual(r, happened["renegotiations"], had)
		require.Equal(r, had, happened["dropped_state_lost"], "the raw classes, each by itself")
		after := up(seen, before)
		require.Len(r, after, 12)
		for session, p := range after {
			require.Equal(r, r.fleet.Holder(session), p)
		}
		var longest time.Duration
		for _, g := range seen.GetGaps() {
			longest = max(longest, g.GetLength().AsDuration())
		}
		require.Positive(r, longest)
	})
}

func TestACallThatMovesIsToldWithItsPod(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.order(order(1, 1))
		r.pass(3 * time.Second)
		session := sessionsOf(1, 1)[0]
		from := up(r.seen(1), nil)[session]
		to := map[string]string{"jarvis-1": "jarvis-2", "jarvis-2": "jarvis-3", "jarvis-3": "jarvis-1"}[from]
		r.fleet.Migrate(session, to)
		r.pass(300 * time.Millisecond)
		seen := r.seen(1)
		require.Equal(r, 1, classes(seen)["migrations"])
		require.Len(r, seen.GetCalls(), 1, "it was never down")
		require.Equal(r, map[string]string{session: to}, up(seen, nil))
	})
}

func TestRequestsThatAreNotSentAreTold(t *testing.T) {
	inBubble(t, func(r *rig) {
		var stuck atomic.Bool
		r.fleet.Intercept = func(_ http.ResponseWriter, q *http.Request) bool {
			if stuck.Load() && q.URL.Path == "/inference" {
				<-q.Context().Done()
				return true
			}
			return false
		}
		r.order(order(1, 10))
		r.pass(3 * time.Second)
		r.seen(1)
		stuck.Store(true)
		r.pass(5 * time.Second)
		require.InDelta(r, 50-16, classes(r.seen(1))["dropped_iterations"], 4, "beyond sixteen unanswered ones")
	})
}

func TestCallersGoOnWithoutAStageAndTellTheNext(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.order(order(12, 24))
		r.pass(4 * time.Second)
		calls := up(r.seen(1), nil)
		r.close()
		asked := r.fleet.Count("POST /inference")
		r.pass(time.Minute)
		require.InDelta(r, 24*60, r.fleet.Count("POST /inference")-asked, 24)
		require.Zero(r, r.hangups(sessionsOf(1, 12)))

		r.open()
		r.pass(2 * time.Second)
		require.Len(r, r.stage.Hellos(), 1, "it is found")
		require.Empty(r, r.stage.Take(), "and told nothing before it has ordered something")
		r.order(order(12, 24))
		r.pass(2 * time.Second)
		seen := r.seen(1)
		require.Equal(r, calls, up(seen, nil), "which calls are up")
		for _, c := range seen.GetCalls() {
			require.Greater(r, c.GetAgo().AsDuration(), time.Minute, "and since when")
		}
		require.InDelta(r, 48, len(seen.GetInferences()), 8, "but not what it has missed")
		require.Zero(r, seen.GetUntold(), "which is not its own")
		require.Zero(r, r.hangups(sessionsOf(1, 12)))

		r.close()
		r.open()
		other := order(3, 6)
		other.Seed = 8
		r.order(other)
		r.pass(4 * time.Second)
		require.Equal(r, 12, r.hangups(sessionsOf(1, 12)), "a stage with another seed is another show")
		require.Len(r, up(r.seen(1), nil), 3)
	})
}

func TestASlowStageBlocksNobody(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.order(order(20, 500))
		r.pass(2 * time.Second)
		r.seen(1)
		asked := r.fleet.Count("POST /inference")
		r.stage.Deafen()
		r.pass(time.Minute)
		require.InDelta(r, 30_000, r.fleet.Count("POST /inference")-asked, 100)
		r.stage.Listen()
		r.pass(time.Second)
		seen := r.seen(1)
		require.Greater(r, int(seen.GetUntold()), 10_000, "what the connection and the crowd have no room for is gone")
		told := len(seen.GetInferences()) + len(seen.GetGaps()) + len(seen.GetOccurrences()) + len(seen.GetCalls())
		require.InDelta(r, 30_500, told+int(seen.GetUntold()), 700, "and counted")
		r.pass(2 * time.Second)
		after := r.seen(1)
		require.InDelta(r, 1000, len(after.GetInferences()), 60)
		require.Zero(r, after.GetUntold())
	})
}

func TestOrdersThatCantBeObeyedChangeNothing(t *testing.T) {
	inBubble(t, func(r *rig) {
		nowhere := order(3, 3)
		nowhere.SmaranUrl = ""
		r.order(nowhere)
		r.pass(time.Second)
		require.Empty(r, r.stage.Take())
		r.order(order(6, 12))
		r.pass(4 * time.Second)
		calls := up(r.seen(1), nil)
		require.Len(r, calls, 6)
		for _, bad := range []*stagev1.CrowdOrder{
			nowhere, order(6, 0), order(6, -1), order(1, 5000), order(6, 1e-9), order(6, math.NaN()), order(1_000_000, 1_000_000),
		} {
			r.order(bad)
			r.pass(time.Second)
			seen := r.seen(1)
			require.Equal(r, calls, up(seen, calls), bad)
			require.InDelta(r, 12, len(seen.GetInferences()), 5, bad)
		}
	})
}

func TestTheEndIsProperAndShort(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.order(order(6, 12))
		r.pass(4 * time.Second)
		began := time.Now()
		r.stop()
		<-r.over
		require.NoError(r, r.err)
		require.Less(r, time.Since(began), 100*time.Millisecond)
		require.Equal(r, 6, r.hangups(sessionsOf(1, 6)))
		for _, session := range sessionsOf(1, 6) {
			require.Empty(r, r.fleet.Holder(session))
		}
	})
	inBubble(t, func(r *rig) {
		r.fleet.Intercept = func(_ http.ResponseWriter, q *http.Request) bool {
			if q.Method == http.MethodDelete {
				<-q.Context().Done()
			}
			return false
		}
		r.order(order(6, 12))
		r.pass(4 * time.Second)
		began := time.Now()
		r.stop()
		<-r.over
		require.InDelta(r, 2*time.Second, time.Since(began), float64(100*time.Millisecond), "a coordinator that does not answer is not waited for")
	})
}

func TestACrowdThatWasReplacedDoesNotFightForItsLane(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.order(order(3, 6))
		r.pass(4 * time.Second)
		r.stage.End(r.Context(), connect.NewError(connect.CodeAborted, errors.New("another came")))
		<-r.over
		require.ErrorIs(r, r.err, crowd.ErrReplaced)
		require.Equal(r, 3, r.hangups(sessionsOf(1, 3)))
	})
}

func TestACrowdWhoseStreamBreaksIsBack(t *testing.T) {
	inBubble(t, func(r *rig) {
		for n := 1; n < 5; n++ {
			r.pass(4 * time.Second)
			require.Len(r, r.stage.Hellos(), n)
			r.stage.End(r.Context(), connect.NewError(connect.CodeUnavailable, errors.New("closed")))
		}
	})
}

// TestNothingGrowsWithTime measures the heap after twenty minutes, and after forty.
func TestNothingGrowsWithTime(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.order(order(4, 8))
		heap := func(minutes int) int64 {
			for range minutes {
				r.pass(time.Minute)
				r.stage.Take()
			}
			runtime.GC()
			runtime.GC() // what finalizers held
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return int64(m.HeapAlloc)
		}
		first := heap(5)
		asked := r.fleet.Count("POST /inference")
		grown := heap(20) - first
		require.Greater(r, r.fleet.Count("POST /inference")-asked, 9_000)
		require.Less(r, grown, int64(256<<10), "%d requests", r.fleet.Count("POST /inference")-asked)
	})
}
