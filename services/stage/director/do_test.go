package director_test

import (
	"context"
	"math"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/require"

	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/services/stage/director"
	"github.com/smaran-v2/smaran/services/stage/venue"
)

func TestAnOrderThatCantBeMeantIsRefusedWithWhatWasExpected(t *testing.T) {
	p := newPlace(newFleet("istio-hash", "ring", 3), newFleet("redis", "round_robin", 3))
	p.lanes[1].Verbs = []venue.Verb{venue.Kill, venue.Load, venue.Drain}
	p.lanes[1].Reason = "controls are off"
	inBubble(t, p, load, func(r *rig) {
		for _, c := range []struct {
			order director.Order
			want  error
			says  string
		}{
			{director.Order{Verb: "dance"}, director.ErrOrder, `"dance"`},
			{director.Order{Verb: venue.Scale, Lanes: []string{"a"}}, director.ErrOrder, "expected 1 to 240 pods, got 0"},
			{director.Order{Verb: venue.Scale, Pods: 241, Lanes: []string{"a"}}, director.ErrOrder, "got 241"},
			{director.Order{Verb: venue.Drain}, director.ErrOrder, "the name of the pod to drain"},
			{director.Order{Verb: venue.Freeze}, director.ErrOrder, "the name of the pod to freeze"},
			{director.Order{Verb: venue.Backend}, director.ErrOrder, "a backend's name"},
			{director.Order{Verb: venue.Load, Calls: -1, Rate: 1}, director.ErrOrder, "0 to 1000 calls"},
			{director.Order{Verb: venue.Load, Calls: 1}, director.ErrOrder, "a rate of more than 0"},
			{director.Order{Verb: venue.Load, Calls: 1, Rate: math.NaN()}, director.ErrOrder, "a rate of more than 0"},
			{director.Order{Verb: venue.Load, Calls: 1000, Rate: 0.1}, director.ErrOrder, "every 1h0m0s"},
			{director.Order{Verb: venue.Kill, Lanes: []string{"c"}}, venue.ErrUnknown, `lane "c": there are a, b`},
			{director.Order{Verb: venue.Kill, Pod: "jarvis-9"}, venue.ErrUnknown, `pod "jarvis-9": there are jarvis-1, jarvis-2, jarvis-3`},
			{director.Order{Verb: venue.Backend, Backend: "dice", Lanes: []string{"a"}}, venue.ErrUnknown, "lane a takes istio-hash, redis"},
			{director.Order{Verb: venue.Scale, Pods: 5}, venue.ErrNotHere, "scale in lane b: controls are off"},
			{director.Order{Verb: venue.Load, Calls: 1, Rate: 1}, venue.ErrNotHere, "no crowd of callers is there"},
		} {
			err := r.refused(c.order)
			require.ErrorIs(r, err, c.want, "%+v", c.order)
			require.ErrorContains(r, err, c.says, "%+v", c.order)
		}
		require.Empty(r, p.fleets["a"].done(), "in no lane, if one can't")
	})
}

func TestALaneIsAtOneChangeAtATime(t *testing.T) {
	f := newFleet("istio-hash", "ring", 3)
	inBubble(t, newPlace(f), load, func(r *rig) {
		r.crowd("a")
		f.hold = make(chan struct{})
		r.order(director.Order{Verb: venue.Scale, Pods: 5})
		require.ErrorIs(r, r.refused(director.Order{Verb: venue.Rollout}), director.ErrBusy)
		r.order(director.Order{Verb: venue.Load, Calls: 1, Rate: 1}) // its crowd is free
		close(f.hold)
		r.pass(time.Second)
		f.change(func() { f.hold = nil })
		group := r.order(director.Order{Verb: venue.Rollout})
		r.pass(time.Second)
		require.NotNil(r, r.events(group)["a"].FinishedMs)
		require.Equal(r, []string{"scale 5", "rollout"}, f.done())
	})
}

func TestVerbsBecomeWhatTheFleetDoes(t *testing.T) {
	f := newFleet("redis", "round_robin", 3)
	inBubble(t, newPlace(f), load, func(r *rig) {
		for _, c := range []struct {
			order           director.Order
			name, pod, does string
		}{
			{director.Order{Verb: venue.Kill}, "kill", "jarvis-2", "kill jarvis-2"},
			{director.Order{Verb: venue.Kill, Pod: "jarvis-3"}, "kill=jarvis-3", "jarvis-3", "kill jarvis-3"},
			{director.Order{Verb: venue.Drain, Pod: "jarvis-1"}, "drain=jarvis-1", "jarvis-1", "stop jarvis-1"},
			{director.Order{Verb: venue.Freeze, Pod: "jarvis-1"}, "freeze=jarvis-1", "jarvis-1", "freeze jarvis-1"},
			{director.Order{Verb: venue.Thaw}, "thaw", "jarvis-1", "thaw"},
			{director.Order{Verb: venue.Redis}, "redis=down", "", "redis false"},
			{director.Order{Verb: venue.Redis, Up: true}, "redis=up", "", "redis true"},
			{director.Order{Verb: venue.Smaran}, "smaran=kill", "", "smaran"},
			{director.Order{Verb: venue.Rollout}, "rollout", "", "rollout"},
		} {
			group := r.order(c.order)
			r.pass(500 * time.Millisecond)
			e := r.events(group)["a"]
			require.Equal(r, c.name, e.GetName())
			require.Equal(r, c.pod, e.GetPod(), c.name)
			require.NotNil(r, e.FinishedMs, c.name)
			require.Empty(r, e.GetError(), c.name)
			require.Nil(r, e.Expected, "redis follows no algorithm")
			done := f.done()
			require.Equal(r, c.does, done[len(done)-1])
			if c.name == "redis=down" {
				require.False(r, *r.lane("a").RedisUp)
			}
		}
		f.change(func() { f.fail = connect.NewError(connect.CodeAborted, errScripted) })
		group := r.order(director.Order{Verb: venue.Rollout})
		r.pass(time.Second)
		require.Equal(r, "scripted", r.events(group)["a"].GetError(), "in the fleet's words")
		require.NotNil(r, r.events(group)["a"].FinishedMs)
	})
}

func TestAKillHitsTheSamePodInEveryLane(t *testing.T) {
	a, b := newFleet("istio-hash", "ring", 5), newFleet("redis", "round_robin", 5)
	inBubble(t, newPlace(a, b), load, func(r *rig) {
		a.change(func() { a.pod("jarvis-2").Phase = fleetv1.PodPhase_POD_PHASE_FROZEN })
		b.change(func() { b.pod("jarvis-4").Phase = fleetv1.PodPhase_POD_PHASE_STARTING })
		r.pass(time.Second)
		for range 10 {
			group := r.order(director.Order{Verb: venue.Kill})
			r.pass(time.Second)
			e := r.events(group)
			require.Len(r, e, 2)
			require.Equal(r, e["a"].GetPod(), e["b"].GetPod())
			require.Contains(r, []string{"jarvis-1", "jarvis-3", "jarvis-5"}, e["a"].GetPod(), "ready in both")
			require.Equal(r, "kill", e["a"].GetName())
			require.NotEqual(r, e["a"].GetId(), e["b"].GetId())
		}
		b.change(func() { b.setPods(3) })
		r.pass(time.Second)
		require.Len(r, r.events(r.order(director.Order{Verb: venue.Drain, Pod: "jarvis-5"})), 1, "only one lane has it")
	})
}

func TestAKillWhosePodIsBackAtItsAddressMovesNothing(t *testing.T) {
	f := newFleet("istio-hash", "ring", 3)
	inBubble(t, newPlace(f), load, func(r *rig) {
		c := r.crowd("a")
		c.tells(answers("warm", callers(20, f)))
		group := r.order(director.Order{Verb: venue.Kill, Pod: "jarvis-2"})
		r.pass(time.Second)
		c.tells(answers("cold", callers(20, f)))
		e := r.events(group)["a"]
		require.Zero(r, *e.Expected)
		require.EqualValues(r, 20, e.GetObserved())
		require.Zero(r, e.GetMoved())
		require.EqualValues(r, 20, e.GetCounts()["cold_starts"])
	})
}

func TestAnEventIsWhatHappensUntilTheNext(t *testing.T) {
	f := newFleet("istio-hash", "ring", 3)
	inBubble(t, newPlace(f), load, func(r *rig) {
		c := r.crowd("a")
		c.tells(answers("warm", map[string]string{"one": "jarvis-1", "two": "jarvis-1"}))
		first := r.order(director.Order{Verb: venue.Rollout})
		r.pass(time.Second)
		o := answers("cold", map[string]string{"one": "jarvis-4", "two": "jarvis-1"})
		o.Gaps = append(o.Gaps, gap("one", 300))
		c.tells(o)
		second := r.order(director.Order{Verb: venue.Header, Dropped: true})
		r.pass(time.Second)
		o = answers("cold", map[string]string{"one": "jarvis-5", "two": "jarvis-6"})
		o.Occurrences = []*stagev1.Occurrence{saw("one", "state_lost", 50), saw("one", "state_lost", 1500)}
		c.tells(o)
		e := r.events(first)["a"]
		require.EqualValues(r, 2, e.GetObserved())
		require.EqualValues(r, 1, e.GetMoved())
		require.EqualValues(r, 2, e.GetCounts()["requests"])
		require.EqualValues(r, 1, e.GetCounts()["state_lost"], "what came late was before the second")
		require.InDelta(r, 300, *e.WorstGapMs, 0)
		e = r.events(second)["a"]
		require.EqualValues(r, 2, e.GetMoved())
		require.EqualValues(r, 1, e.GetCounts()["state_lost"])
		require.Nil(r, e.WorstGapMs)
		require.Nil(r, e.Expected, "callers without a session follow no prediction")
		require.Equal(r, "istio-hash", e.GetBackend())
		require.EqualValues(r, 3, r.lane("a").GetMeters().GetMoved())
	})
}

func TestAnotherBackendBeginsAnewInAllLanesAtOnce(t *testing.T) {
	a, b := newFleet("istio-hash", "ring", 3), newFleet("istio-hash", "ring", 3)
	p := newPlace(a, b)
	var slow chan struct{} // of the bubble
	p.recast = func(ctx context.Context, lane, _ string) error {
		if lane == "a" {
			return nil
		}
		f := p.fleets[lane]
		f.change(func() { f.down = errScripted })
		defer f.change(func() { f.down = nil })
		select {
		case <-slow:
			return errScripted
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	inBubble(t, p, load, func(r *rig) {
		slow = make(chan struct{})
		inA, inB := r.crowd("a"), r.crowd("b")
		inA.tells(answers("warm", map[string]string{"one": "jarvis-1"}))
		take := inA.last().GetTake()
		group := r.order(director.Order{Verb: venue.Backend, Backend: "redis"})
		r.pass(500 * time.Millisecond)
		require.Equal(r, stagev1.LaneState_LANE_STATE_STARTING, r.lane("b").GetState())
		require.Contains(r, r.lane("b").GetReason(), "redis")
		require.Equal(r, stagev1.PodPhase_POD_PHASE_DEAD, r.pod("b", "jarvis-1").GetPhase())
		require.Nil(r, r.ring("b"))
		require.Nil(r, r.session("a", "one"))
		require.Zero(r, r.lane("a").GetMeters().GetCounts()["requests"])
		require.Equal(r, "redis", r.lane("a").GetBackend())
		for _, c := range []*crowd{inA, inB} {
			require.Zero(r, c.last().GetCalls(), "lane b is not ready")
			require.Greater(r, c.last().GetTake(), take)
		}
		require.ErrorIs(r, r.refused(director.Order{Verb: venue.Load, Lanes: []string{"b"}, Calls: 1, Rate: 1}), director.ErrBusy)
		require.ErrorIs(r, r.refused(director.Order{Verb: venue.Reset}), director.ErrBusy)
		late := answers("warm", map[string]string{"one": "jarvis-1"})
		late.Take = take
		inA.tells(late)
		require.Zero(r, r.lane("a").GetMeters().GetCounts()["requests"], "of callers that are gone")

		close(slow)
		r.pass(time.Second)
		require.Empty(r, r.events(group)["a"].GetError())
		require.Equal(r, "scripted", r.events(group)["b"].GetError())
		require.Equal(r, "redis", r.events(group)["a"].GetBackend(), "what it costs is the new one's")
		require.Nil(r, r.lane("a").GetMeters().Moved, "nobody was asked before")
		require.EqualValues(r, 24, inA.last().GetCalls())
		require.EqualValues(r, 24, inB.last().GetCalls())
		require.Equal(r, inA.last().GetTake(), inB.last().GetTake(), "the same callers")
		require.EqualValues(r, seed, inA.last().GetSeed())
		require.Nil(r, r.lane("a").GetMeters().Expected)
	})
}

func TestAResetUndoesWhatWasDoneAndBeginsAnew(t *testing.T) {
	a, b := newFleet("istio-hash", "ring", 3), newFleet("redis", "round_robin", 3)
	inBubble(t, newPlace(a, b), load, func(r *rig) {
		c, other := r.crowd("a"), r.crowd("b")
		c.tells(answers("warm", map[string]string{"one": "jarvis-1"}))
		for _, o := range []director.Order{
			{Verb: venue.Scale, Pods: 5, Lanes: []string{"a"}}, {Verb: venue.Freeze, Pod: "jarvis-1", Lanes: []string{"a"}},
			{Verb: venue.Redis, Lanes: []string{"a"}}, {Verb: venue.Header, Dropped: true}, {Verb: venue.Load, Calls: 5, Rate: 5},
		} {
			r.order(o)
			r.pass(3 * time.Second)
		}
		take := c.last().GetTake()
		b.change(func() { b.hold = make(chan struct{}) })
		stuck := r.order(director.Order{Verb: venue.Rollout, Lanes: []string{"b"}})
		r.pass(time.Second)
		require.NotEmpty(r, r.points("a"))
		_, before := r.scene.Frame(0)
		group := r.order(director.Order{Verb: venue.Reset})
		r.pass(time.Second)

		require.Equal(r, []string{"redis true", "thaw", "scale 3"}, a.done()[3:])
		require.Equal(r, []string{"rollout"}, b.done(), "nothing was to be undone in the other")
		f, _ := r.scene.Frame(before)
		require.True(r, f.GetWhole(), "who reads begins anew")
		require.Empty(r, r.events(stuck))
		require.Len(r, r.all().GetEvents(), 2, "but for the reset itself")
		require.NotNil(r, r.events(group)["a"].FinishedMs)
		require.Nil(r, r.session("a", "one"))
		require.Zero(r, r.lane("a").GetMeters().GetCounts()["requests"])
		require.NotNil(r, r.ring("a"))
		for _, crowd := range []*crowd{c, other} {
			require.EqualValues(r, 24, crowd.last().GetCalls())
			require.False(r, crowd.last().GetHeaderless())
			require.Greater(r, crowd.last().GetTake(), take)
		}
		require.NotNil(r, r.pod("a", "jarvis-1"))
		require.Equal(r, stagev1.PodPhase_POD_PHASE_READY, r.pod("a", "jarvis-1").GetPhase())
		b.change(func() { b.hold = nil })
		r.order(director.Order{Verb: venue.Rollout})
	})
}

func TestAResetOfOneLaneLeavesTheOther(t *testing.T) {
	inBubble(t, newPlace(newFleet("istio-hash", "ring", 3), newFleet("redis", "round_robin", 3)), load, func(r *rig) {
		inA, inB := r.crowd("a"), r.crowd("b")
		for _, c := range []*crowd{inA, inB} {
			c.tells(answers("warm", map[string]string{"one": "jarvis-1"}))
		}
		r.order(director.Order{Verb: venue.Reset, Lanes: []string{"a"}})
		r.pass(time.Second)
		require.Nil(r, r.session("a", "one"))
		require.NotNil(r, r.session("b", "one"))
		require.Zero(r, r.lane("a").GetMeters().GetCounts()["requests"])
		require.EqualValues(r, 1, r.lane("b").GetMeters().GetCounts()["requests"])
		require.Greater(r, inA.last().GetTake(), inB.last().GetTake())
	})
}

func TestTheEndOfTheStageEndsWhatIsBeingDone(t *testing.T) {
	f := newFleet("istio-hash", "ring", 3)
	inBubble(t, newPlace(f), load, func(r *rig) {
		f.hold = make(chan struct{})
		group := r.order(director.Order{Verb: venue.Rollout})
		r.stop()
		r.pass(time.Second)
		require.NotNil(r, r.events(group)["a"].FinishedMs)
		require.Contains(r, r.events(group)["a"].GetError(), "canceled")
	})
}
