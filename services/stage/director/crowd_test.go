package director_test

import (
	"context"
	"fmt"
	"maps"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/require"

	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/services/stage/director"
	"github.com/smaran-v2/smaran/services/stage/venue"
)

func hashed() *place { return newPlace(newFleet("istio-hash", "ring", 3)) }

func TestACrowdIsToldWhatToDoAtOnceAndWhenThatChanges(t *testing.T) {
	inBubble(t, hashed(), load, func(r *rig) {
		require.NotContains(r, r.lane("a").GetVerbs(), "load", "nobody would do it")
		require.Contains(r, r.lane("a").GetVerbs(), "scale")
		c := r.crowd("a")
		first := c.told()
		require.Len(r, first, 1)
		require.Equal(r, "http://smaran-a", first[0].GetSmaranUrl())
		require.EqualValues(r, 24, first[0].GetCalls())
		require.InDelta(r, 24, first[0].GetRate(), 0)
		require.EqualValues(r, seed, first[0].GetSeed())
		require.True(r, r.lane("a").GetLoad().GetAttached())
		require.Contains(r, r.lane("a").GetVerbs(), "load")

		group := r.order(director.Order{Verb: venue.Load, Calls: 48, Rate: 12})
		require.Equal(r, "load=48@12", r.events(group)["a"].GetName())
		require.NotNil(r, r.events(group)["a"].FinishedMs)
		r.pass(200 * time.Millisecond)
		group = r.order(director.Order{Verb: venue.Header, Dropped: true})
		require.Equal(r, "header=dropped", r.events(group)["a"].GetName())
		r.pass(200 * time.Millisecond)
		require.Len(r, c.told(), 3)
		require.EqualValues(r, 48, c.told()[1].GetCalls())
		require.False(r, c.told()[1].GetHeaderless())
		require.True(r, c.last().GetHeaderless())
		require.Equal(r, first[0].GetTake(), c.last().GetTake(), "nobody starts anew for that")
		l := r.lane("a").GetLoad()
		require.EqualValues(r, 48, l.GetCalls())
		require.InDelta(r, 12, l.GetRate(), 0)
		require.True(r, l.GetHeaderless())
	})
}

func TestACrowdWaitsWhereThereIsNoLoadYet(t *testing.T) {
	inBubble(t, hashed(), nil, func(r *rig) {
		c := r.crowd("a")
		r.pass(time.Minute)
		require.Empty(r, c.told())
		r.order(director.Order{Verb: venue.Load, Calls: 3, Rate: 3})
		r.pass(200 * time.Millisecond)
		require.Len(r, c.told(), 1)
	})
}

func TestCallersWaitForTheirFleet(t *testing.T) {
	a, b := newFleet("istio-hash", "ring", 3), newFleet("redis", "round_robin", 3)
	a.smaranDown = true
	b.down = errScripted
	inBubble(t, newPlace(a, b), load, func(r *rig) {
		inA, inB := r.crowd("a"), r.crowd("b")
		require.Zero(r, inA.last().GetCalls())
		a.change(func() { a.smaranDown = false })
		r.pass(500 * time.Millisecond)
		require.Zero(r, inA.last().GetCalls(), "all begin at once")
		r.pass(2 * time.Second)
		require.EqualValues(r, 24, inA.last().GetCalls(), "but not with a lane that is down")
		require.Zero(r, inB.last().GetCalls())
		b.change(func() { b.down = nil })
		r.pass(3 * time.Second)
		require.EqualValues(r, 24, inB.last().GetCalls())
		b.change(func() { b.down = errScripted })
		r.pass(5 * time.Second)
		require.EqualValues(r, 24, inB.last().GetCalls(), "who called once goes on: what is lost counts")
	})
}

func TestALaterCrowdTakesTheEarlierOnesPlace(t *testing.T) {
	inBubble(t, hashed(), load, func(r *rig) {
		one := r.crowd("a")
		one.tells(up("caller"))
		two := r.crowd("a")
		require.Equal(r, connect.CodeAborted, connect.CodeOf(one.ended()))
		require.True(r, r.lane("a").GetLoad().GetAttached())
		require.Zero(r, r.lane("a").GetMeters().GetCallsUp(), "the calls were the other's")
		two.tells(up("caller"))
		require.EqualValues(r, 1, r.lane("a").GetMeters().GetCallsUp())

		two.leave()
		r.pass(200 * time.Millisecond)
		require.False(r, r.lane("a").GetLoad().GetAttached())
		require.Zero(r, r.lane("a").GetMeters().GetCallsUp())
		require.False(r, r.session("a", "caller").GetCallUp())
		require.NotNil(r, r.crowd("a").last(), "another is told the same")
	})
}

func TestAStreamBeginsWithAHello(t *testing.T) {
	inBubble(t, hashed(), load, func(r *rig) {
		c := r.attach(&stagev1.AttachRequest{Message: &stagev1.AttachRequest_Observations{Observations: &stagev1.Observations{}}})
		require.Equal(r, connect.CodeInvalidArgument, connect.CodeOf(c.ended()))
		c = r.crowd("z")
		require.Equal(r, connect.CodeNotFound, connect.CodeOf(c.ended()))
		require.ErrorContains(r, c.ended(), `got "z", there are a`)
		r.stop()
		r.pass(time.Second)
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		_, err := r.Do(ctx, director.Order{Verb: venue.Rollout})
		require.ErrorIs(r, err, director.ErrClosed)
	})
}

func TestTheEndOfTheStageEndsCrowds(t *testing.T) {
	inBubble(t, hashed(), load, func(r *rig) {
		c := r.attachWith(r.Context(), hello("a"))
		r.stop()
		require.Equal(r, connect.CodeUnavailable, connect.CodeOf(c.ended()))
	})
}

func up(ids ...string) *stagev1.Observations {
	o := &stagev1.Observations{}
	for _, id := range ids {
		o.Calls = append(o.Calls, &stagev1.CallChange{Session: id, Ago: ms(0), Up: true, Pod: "jarvis-1"})
	}
	return o
}

func gap(id string, length int) *stagev1.MediaGap {
	return &stagev1.MediaGap{Session: id, Ago: ms(0), Length: ms(length)}
}

func saw(id, class string, ago int) *stagev1.Occurrence {
	return &stagev1.Occurrence{Session: id, Class: class, Ago: ms(ago)}
}

func TestMetersCountWhatCallersSee(t *testing.T) {
	inBubble(t, hashed(), load, func(r *rig) {
		c := r.crowd("a")
		counts := r.lane("a").GetMeters().GetCounts()
		require.Contains(r, counts, "requests", "measured, and 0")
		require.NotContains(r, counts, "misroutes", "no call was up: nothing was measured")
		require.Nil(r, r.lane("a").GetMeters().InferenceP50Ms)
		require.Nil(r, r.lane("a").GetLoad().LateShare)

		o := up("one", "two")
		first := inference("one", "jarvis-1", "cold")
		first.First = true
		wrong := inference("one", "jarvis-2", "cold")
		wrong.Misrouted, wrong.Latency, wrong.Late = true, ms(900), ms(21)
		failed := &stagev1.CrowdInference{Session: "two", State: "failed", Error: "upstream_timeout", Latency: ms(5000), Late: ms(20)}
		o.Inferences = []*stagev1.CrowdInference{first, wrong, failed, inference("two", "jarvis-1", "warm"), inference("two", "jarvis-1", "cached")}
		o.Occurrences = []*stagev1.Occurrence{
			saw("one", "misroutes", 0), saw("one", "forwards", 0), saw("one", "renegotiations", 0), saw("two", "migrations", 0),
			saw("two", "media_interruptions", 0), saw("two", "made_up", 0), saw("two", "dropped_iterations", 0),
		}
		o.Gaps = []*stagev1.MediaGap{gap("one", 21), gap("two", 340)}
		o.Untold = 3
		c.tells(o)
		m := r.lane("a").GetMeters()
		nonzero := maps.Clone(m.GetCounts())
		maps.DeleteFunc(nonzero, func(_ string, n uint32) bool { return n == 0 })
		require.Equal(r, map[string]uint32{
			"requests": 5, "requests_failed": 1, "first_loads": 1, "cold_starts": 1, "misrouted_requests": 1, "misroutes": 1, "forwards": 1,
			"renegotiations": 1, "migrations": 1, "media_interruptions": 1, "dropped_iterations": 1,
		}, nonzero)
		require.Contains(r, m.GetCounts(), "dropped_calls", "calls were up, and none was dropped")
		require.EqualValues(r, 2, m.GetCallsUp())
		require.InDelta(r, 100, *m.InferenceP50Ms, 1, "of what was answered")
		require.Nil(r, m.InferenceP99Ms, "four answers say nothing of it")
		require.InDelta(r, 340, *m.WorstGapMs, 0)
		require.InDelta(r, 0.2, *r.lane("a").GetLoad().LateShare, 1e-9, "more than 20 ms late")

		require.Equal(r, "media_interruptions", r.session("a", "two").GetLost(), "and not the move that was planned")
		require.EqualValues(r, 1, r.session("a", "two").GetLosses())
		require.EqualValues(r, 2, r.session("a", "one").GetLosses())
		require.Equal(r, "cached", r.session("a", "two").GetState())

		r.pass(11 * time.Second)
		m = r.lane("a").GetMeters()
		require.Nil(r, m.InferenceP50Ms, "not in the last ten seconds")
		require.Nil(r, m.WorstGapMs)
		require.Nil(r, r.lane("a").GetLoad().LateShare)
		require.EqualValues(r, 5, m.GetCounts()["requests"])
		require.EqualValues(r, 3, r.lane("a").GetLoad().GetUntold())

		o = &stagev1.Observations{}
		for i := range 10 {
			o.Inferences = append(o.Inferences, inference(fmt.Sprint("more-", i), "jarvis-1", "warm"))
		}
		o.Inferences[3].Latency = ms(700)
		c.tells(o)
		require.InDelta(r, 700, *r.lane("a").GetMeters().InferenceP99Ms, 1, "ten answers say as much as a report's ten do")
	})
}

func TestEachSecondIsToldOfOnceItIsOver(t *testing.T) {
	inBubble(t, hashed(), load, func(r *rig) {
		require.Empty(r, r.points("a"), "nobody measures")
		r.pass(1700 * time.Millisecond)
		c := r.crowd("a") // until 2.9 s
		r.pass(200 * time.Millisecond)
		o := up("one") // at 3.1 s
		o.Inferences = []*stagev1.CrowdInference{inference("one", "jarvis-1", "warm"), inference("one", "jarvis-1", "cold")}
		o.Inferences[1].Ago = ms(300) // at 2.8 s
		o.Gaps = []*stagev1.MediaGap{gap("one", 30)}
		c.tells(o)
		r.pass(100 * time.Millisecond)
		points := r.points("a")
		require.Equal(r, []uint32{2}, seconds(points))
		require.EqualValues(r, 1, points[0].GetRequests())
		require.EqualValues(r, 1, points[0].GetCold())
		require.Nil(r, points[0].WorstGapMs)
		r.pass(3 * time.Second)
		points = r.points("a")
		require.Equal(r, []uint32{2, 3, 4, 5}, seconds(points))
		require.EqualValues(r, 1, points[1].GetRequests())
		require.InDelta(r, 100, *points[1].InferenceP50Ms, 1)
		require.Nil(r, points[1].InferenceP99Ms)
		require.InDelta(r, 30, *points[1].WorstGapMs, 0)
		require.EqualValues(r, 1, points[1].GetCallsUp())
		require.Zero(r, points[2].GetRequests(), "measured, and nothing happened")
		require.Nil(r, points[2].InferenceP50Ms)

		late := &stagev1.Observations{Occurrences: []*stagev1.Occurrence{saw("one", "renegotiations", 2500)}}
		c.tells(late) // of 3.7 s
		r.pass(time.Second)
		require.EqualValues(r, 1, r.points("a")[1].GetRenegotiations(), "what comes late counts in its second")
		c.leave()
		r.pass(3 * time.Second)
		n := len(r.points("a"))
		r.pass(5 * time.Second)
		require.Len(r, r.points("a"), n, "nobody measures any more")
	})
}

func seconds(points []*stagev1.Point) []uint32 {
	var out []uint32
	for _, p := range points {
		out = append(out, p.GetSecond())
	}
	return out
}

func TestACallIsDroppedOnceHoweverManyWaysItShows(t *testing.T) {
	inBubble(t, hashed(), load, func(r *rig) {
		c := r.crowd("a")
		c.tells(up("one"))
		o := &stagev1.Observations{Occurrences: []*stagev1.Occurrence{saw("one", "dropped_state_lost", 50), saw("one", "dropped_no_media", 0)}}
		o.Calls = []*stagev1.CallChange{{Session: "one", Ago: ms(20)}}
		c.tells(o)
		require.EqualValues(r, 1, r.lane("a").GetMeters().GetCounts()["dropped_calls"])
		require.EqualValues(r, 1, r.lane("a").GetMeters().GetCounts()["dropped_no_media"])
		c.tells(up("one")) // another call
		c.tells(up("one")) // which moved
		c.tells(&stagev1.Observations{Occurrences: []*stagev1.Occurrence{saw("one", "dropped_no_media", 0)}})
		require.EqualValues(r, 2, r.lane("a").GetMeters().GetCounts()["dropped_calls"])
		c.tells(up("one")) // the same one, at another pod
		c.tells(&stagev1.Observations{Occurrences: []*stagev1.Occurrence{saw("one", "dropped_state_lost", 0)}})
		require.EqualValues(r, 2, r.lane("a").GetMeters().GetCounts()["dropped_calls"])
	})
}

func TestACallIsSilentOnceItsAgentIsNotHeard(t *testing.T) {
	inBubble(t, hashed(), load, func(r *rig) {
		c := r.crowd("a")
		c.tells(up("one", "two"))
		require.False(r, r.session("a", "one").GetSilent(), "it has just come up")
		for range 5 {
			c.tells(&stagev1.Observations{Gaps: []*stagev1.MediaGap{gap("one", 21)}})
			r.pass(850 * time.Millisecond)
		}
		require.False(r, r.session("a", "one").GetSilent())
		require.True(r, r.session("a", "two").GetSilent())
		c.tells(&stagev1.Observations{Calls: []*stagev1.CallChange{{Session: "two"}}})
		require.False(r, r.session("a", "two").GetSilent(), "no call, no silence")
	})
}

func TestCallersWhoAskNothingAnyMoreLeave(t *testing.T) {
	inBubble(t, hashed(), load, func(r *rig) {
		c := r.crowd("a")
		o := answers("warm", map[string]string{"on a call": "jarvis-1"}) // no session id
		c.tells(o)
		require.Empty(r, r.all().GetSessions(), "no such session can be")
		c.tells(up("stays"))
		r.place.fleets["a"].keeps("jarvis-1", has("leaves", 1, 0))
		c.tells(answers("warm", map[string]string{"leaves": "jarvis-1"}))
		r.pass(4 * time.Second)
		require.NotNil(r, r.session("a", "leaves"))
		r.pass(10 * time.Second)
		require.NotNil(r, r.session("a", "stays"), "its call is up")
		require.Nil(r, r.session("a", "leaves"), "also if a pod still keeps it")
		require.Zero(r, r.pod("a", "jarvis-1").GetSessions())
		c.tells(answers("warm", map[string]string{"leaves": "jarvis-1"}))
		require.False(r, r.session("a", "leaves").GetBrowser(), "it is back")
	})
}

func TestWhatIsTooOldOrOfAnotherTakeDoesNotCount(t *testing.T) {
	inBubble(t, hashed(), load, func(r *rig) {
		c := r.crowd("a")
		o := answers("warm", map[string]string{"one": "jarvis-1"})
		o.Take = c.last().GetTake() + 1
		c.tells(o)
		require.Zero(r, r.lane("a").GetMeters().GetCounts()["requests"])
		require.Nil(r, r.session("a", "one"))
	})
}
