package director_test

import (
	"fmt"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/require"

	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/stage/director"
	"github.com/smaran-v2/smaran/services/stage/venue"
)

func TestALaneShowsItsFleet(t *testing.T) {
	f := newFleet("istio-hash", "ring", 3)
	inBubble(t, newPlace(f), nil, func(r *rig) {
		l := r.lane("a")
		require.Equal(r, stagev1.LaneState_LANE_STATE_UP, l.GetState(), l.GetReason())
		require.Equal(r, "istio-hash", l.GetBackend())
		require.Equal(r, "ring", l.GetPolicy())
		require.Equal(r, "/smaran/a", l.GetSmaran())
		require.True(r, l.GetRedisUp())
		require.Empty(r, l.GetMeters().GetCounts(), "nobody measured anything")
		require.Zero(r, *l.GetMeters().Expected, "no event, and one could be predicted")
		require.Equal(r, stagev1.PodPhase_POD_PHASE_READY, r.pod("a", "jarvis-2").GetPhase())
		require.Equal(r, "127.0.0.12:8080", r.pod("a", "jarvis-2").GetAddress())

		f.change(func() {
			f.pod("jarvis-2").Phase = fleetv1.PodPhase_POD_PHASE_DRAINING
			f.own["jarvis-2"].Calls = 4
			f.own["jarvis-2"].Drain = &jarvisv1.Drain{Remaining: ms(4200), Sessions: 7, Calls: 3}
			f.status.Processes = nil
		})
		r.pass(time.Second)
		p := r.pod("a", "jarvis-2")
		require.Equal(r, stagev1.PodPhase_POD_PHASE_DRAINING, p.GetPhase())
		require.EqualValues(r, 4, p.GetCalls())
		require.InDelta(r, 4200, p.GetDrain().GetRemainingMs(), 0)
		require.EqualValues(r, 7, p.GetDrain().GetSessions())
		require.EqualValues(r, 3, p.GetDrain().GetCalls())
		require.Nil(r, r.pod("a", "jarvis-1").GetDrain())
		require.Nil(r, r.lane("a").RedisUp, "there is none")
	})
}

// Phases are taken over by their numbers.
func TestPhasesHaveTheSameNumbersEverywhere(t *testing.T) {
	for number, name := range fleetv1.PodPhase_name {
		require.Equal(t, name, stagev1.PodPhase_name[number])
	}
	for number := range jarvisv1.PodState_name {
		require.Equal(t, jarvisv1.PodState(number).String(), "POD_STATE"+stagev1.PodPhase_name[number][len("POD_PHASE"):])
	}
}

func TestALaneStartsAndGoesDown(t *testing.T) {
	f := newFleet("redis", "round_robin", 3)
	f.down = connect.NewError(connect.CodeUnavailable, errScripted)
	inBubble(t, newPlace(f), nil, func(r *rig) {
		require.Equal(r, stagev1.LaneState_LANE_STATE_STARTING, r.lane("a").GetState())
		r.pass(2 * time.Second)
		require.Equal(r, stagev1.LaneState_LANE_STATE_DOWN, r.lane("a").GetState())
		require.Equal(r, "scripted", r.lane("a").GetReason(), "as the fleet says it")
		f.change(func() { f.down = nil })
		r.pass(time.Second)
		require.Equal(r, stagev1.LaneState_LANE_STATE_UP, r.lane("a").GetState())
		require.Empty(r, r.lane("a").GetReason())

		f.change(func() { f.smaranDown = true })
		r.pass(time.Second)
		require.Equal(r, stagev1.LaneState_LANE_STATE_UP, r.lane("a").GetState(), "not for a moment's sake")
		r.pass(3 * time.Second)
		require.Equal(r, stagev1.LaneState_LANE_STATE_DOWN, r.lane("a").GetState())
		require.Contains(r, r.lane("a").GetReason(), "502")
		f.change(func() { f.status.Processes = append(f.status.Processes, &fleetv1.Process{Name: "smaran"}) })
		r.pass(10 * time.Second)
		require.Equal(r, stagev1.LaneState_LANE_STATE_STARTING, r.lane("a").GetState(), "the fleet says that it is not there yet")
	})
}

func TestAPodThatIsGoneIsShownDeadForAMoment(t *testing.T) {
	f := newFleet("istio-hash", "ring", 3)
	inBubble(t, newPlace(f), nil, func(r *rig) {
		f.change(func() { f.setPods(2) })
		r.pass(time.Second)
		require.Equal(r, stagev1.PodPhase_POD_PHASE_DEAD, r.pod("a", "jarvis-3").GetPhase())
		r.pass(1500 * time.Millisecond)
		require.Nil(r, r.pod("a", "jarvis-3"))
		require.NotNil(r, r.pod("a", "jarvis-2"))
		require.Equal(r, []string{"jarvis-1", "jarvis-2"}, r.ring("a").GetPods())
	})
}

func TestRingsAreWhatThePolicyDividesAndSessionsStandOnTheArcOfTheirPod(t *testing.T) {
	for policy, arcs := range map[string]int{"ring": 1026, "maglev": 65537/33 + 1} {
		f := newFleet("istio-hash", policy, 3)
		inBubble(t, newPlace(f), load, func(r *rig) {
			ring := r.ring("a")
			require.Equal(r, policy, ring.GetPolicy())
			require.Len(r, ring.GetEnds(), arcs)
			require.Len(r, ring.GetOwners(), arcs)
			require.IsIncreasing(r, ring.GetEnds())
			require.LessOrEqual(r, arcs, 2048)
			require.Equal(r, map[string]uint32{"ring": 0, "maglev": 65537}[policy], ring.GetTable())

			picker, err := affinity.New(affinity.Policy(policy), f.hosts(), affinity.Options{})
			require.NoError(r, err)
			at, owner := map[string]string{}, map[string]string{}
			for i := range 200 {
				id := fmt.Sprint("caller-", i)
				at[id], owner[id] = "jarvis-1", fmt.Sprint("jarvis-", 1+picker.Pick(affinity.HashValue(id), 0))
			}
			r.crowd("a").tells(answers("warm", at))
			right := 0
			for id := range at {
				position := *r.session("a", id).Position
				arc := 0
				for arc < len(ring.GetEnds()) && ring.GetEnds()[arc] < position {
					arc++
				}
				if ring.GetPods()[ring.GetOwners()[arc%arcs]] == owner[id] {
					right++
				}
			}
			if policy == "ring" {
				require.Equal(r, 200, right, "all of them")
			} else {
				require.Less(r, right, 200, "one slot of 33 is shown")
			}
		})
	}
}

func TestBackendsWithoutARingShowNone(t *testing.T) {
	for _, backend := range []string{"app-hash", "redis", "roundrobin"} {
		inBubble(t, newPlace(newFleet(backend, "round_robin", 3)), load, func(r *rig) {
			r.crowd("a").tells(answers("warm", map[string]string{"caller-1": "jarvis-1"}))
			require.Nil(r, r.ring("a"))
			require.Nil(r, r.session("a", "caller-1").Position)
			require.Equal(r, backend == "app-hash", r.lane("a").GetMeters().Expected != nil, "rendezvous can be predicted, and has no ring")
		})
	}
}

func has(id string, turn, epoch uint64) *jarvisv1.SessionStatus {
	return &jarvisv1.SessionStatus{Session: id, Turn: turn, Epoch: epoch}
}

func copyOf(id, owner string) *jarvisv1.SessionStatus {
	return &jarvisv1.SessionStatus{Session: id, Turn: 9, Epoch: 1, Owner: owner}
}

func TestTheOwnerIsWhoThePodsSayItIs(t *testing.T) {
	f := newFleet("handoff", "ring", 3)
	inBubble(t, newPlace(f), load, func(r *rig) {
		c := r.crowd("a")
		f.change(func() { f.smaranDown = true })
		c.tells(answers("cold", map[string]string{"told": "jarvis-3", "kept": "jarvis-1", "lost": "jarvis-2", "tied": "jarvis-2"}))
		require.Equal(r, "jarvis-3", r.session("a", "told").GetPod(), "nobody but the crowd told of it")
		f.change(func() { f.smaranDown = false })
		f.keeps("jarvis-1", has("kept", 3, 0), has("higher", 7, 1), copyOf("copied", "jarvis-2"), has("tied", 8, 0))
		f.keeps("jarvis-2", has("higher", 4, 2), has("copied", 5, 1), has("tied", 2, 0))
		f.keeps("jarvis-3", has("told", 1, 0))
		r.pass(3 * time.Second)
		require.Equal(r, "jarvis-1", r.session("a", "kept").GetPod())
		require.EqualValues(r, 3, r.session("a", "kept").GetTurn())
		require.Equal(r, "jarvis-2", r.session("a", "higher").GetPod(), "the higher epoch")
		require.EqualValues(r, 2, r.session("a", "higher").GetEpoch())
		require.EqualValues(r, 4, r.session("a", "higher").GetTurn())
		require.Equal(r, "jarvis-2", r.session("a", "copied").GetPod(), "not the pod that has a copy")
		require.Equal(r, "jarvis-2", r.session("a", "tied").GetPod(), "who answered last, without epochs")
		require.Empty(r, r.session("a", "lost").GetPod(), "its pod was asked, and has it no more")
		require.EqualValues(r, 3, r.pod("a", "jarvis-2").GetSessions())
		require.EqualValues(r, 1, r.pod("a", "jarvis-1").GetSessions())

		c.tells(answers("cold", map[string]string{"kept": "jarvis-3"}))
		require.Equal(r, "jarvis-3", r.session("a", "kept").GetPod(), "who answers has it now")
	})
}

func TestADeadPodOwnsNothingAndAFrozenOneWhatItHad(t *testing.T) {
	f := newFleet("istio-hash", "ring", 3)
	inBubble(t, newPlace(f), load, func(r *rig) {
		c := r.crowd("a")
		c.tells(answers("warm", map[string]string{"one": "jarvis-1", "two": "jarvis-2"}))
		f.keeps("jarvis-1", has("one", 1, 0))
		f.keeps("jarvis-2", has("two", 1, 0))
		r.pass(time.Second)
		f.change(func() {
			f.pod("jarvis-1").Phase = fleetv1.PodPhase_POD_PHASE_FROZEN
			f.pod("jarvis-2").Phase = fleetv1.PodPhase_POD_PHASE_DEAD
		})
		r.pass(time.Second)
		require.Equal(r, "jarvis-1", r.session("a", "one").GetPod())
		require.Empty(r, r.session("a", "two").GetPod())
		f.change(func() {
			p := f.pod("jarvis-2")
			p.Phase, p.Restarts = fleetv1.PodPhase_POD_PHASE_READY, 1
			f.own["jarvis-2"].SessionList = nil
		})
		r.pass(200 * time.Millisecond)
		require.Empty(r, r.session("a", "two").GetPod(), "the new process has nothing of it")
		require.EqualValues(r, 1, r.pod("a", "jarvis-2").GetRestarts())
	})
}

func TestASessionThatNoCallerHasIsABrowsers(t *testing.T) {
	f := newFleet("istio-hash", "ring", 3)
	inBubble(t, newPlace(f), load, func(r *rig) {
		call := has("browser", 1, 0)
		call.CallHeld = true
		f.keeps("jarvis-1", call, has("caller", 1, 0))
		c := r.crowd("a")
		r.pass(time.Second)
		c.tells(answers("warm", map[string]string{"caller": "jarvis-1"}))
		r.pass(3 * time.Second)
		require.True(r, r.session("a", "browser").GetBrowser())
		require.True(r, r.session("a", "browser").GetCallUp())
		require.False(r, r.session("a", "caller").GetBrowser())
		f.keeps("jarvis-1")
		r.pass(5 * time.Second)
		require.Empty(r, r.session("a", "browser").GetPod())
		r.pass(6 * time.Second)
		require.Nil(r, r.session("a", "browser"), "it is over")
	})
}

func TestABrowsersSessionWithoutACallLeavesThoughPodsKeepIt(t *testing.T) {
	f := newFleet("istio-hash", "ring", 3)
	inBubble(t, newPlace(f), load, func(r *rig) {
		call, ended := has("browser", 3, 0), has("browser", 3, 0)
		call.CallHeld = true
		f.keeps("jarvis-1", call)
		r.crowd("a")
		r.pass(20 * time.Second)
		require.True(r, r.session("a", "browser").GetCallUp())
		f.keeps("jarvis-1", ended)
		f.keeps("jarvis-2", has("browser", 2, 0)) // which took another for it, and stands elsewhere
		r.pass(5 * time.Second)
		require.False(r, r.session("a", "browser").GetCallUp(), "it may call again")
		r.pass(6 * time.Second)
		require.Nil(r, r.session("a", "browser"))
		r.pass(10 * time.Second)
		require.Nil(r, r.session("a", "browser"), "what the pod lists does not bring it back")

		f.keeps("jarvis-1", call)
		r.pass(3 * time.Second)
		require.True(r, r.session("a", "browser").GetCallUp(), "a new call does")
		f.keeps("jarvis-1", ended)
		r.pass(time.Second)
		require.NotNil(r, r.session("a", "browser"))
		r.order(director.Order{Verb: venue.Reset})
		r.pass(time.Second)
		require.Nil(r, r.session("a", "browser"), "a reset takes it away at once")
		r.pass(5 * time.Second)
		require.Nil(r, r.session("a", "browser"))
	})
}

func TestALaneWithoutAControlAPIIsLookedAt(t *testing.T) {
	f := newFleet("istio-hash", "ring", 3)
	p := newPlace(f)
	p.lanes[0].Fleet, p.lanes[0].Verbs, p.lanes[0].Reason = nil, nil, "controls are off"
	inBubble(t, p, nil, func(r *rig) {
		l := r.lane("a")
		require.Equal(r, stagev1.LaneState_LANE_STATE_UP, l.GetState())
		require.Equal(r, "istio-hash", l.GetBackend(), "smaran says so")
		require.Empty(r, l.GetVerbs())
		require.Equal(r, "controls are off", l.GetVerbsReason())
		require.Equal(r, stagev1.PodPhase_POD_PHASE_READY, r.pod("a", "jarvis-1").GetPhase())
		f.change(func() {
			f.own["jarvis-1"].State = jarvisv1.PodState_POD_STATE_DRAINING
			f.pod("jarvis-2").Phase = fleetv1.PodPhase_POD_PHASE_FROZEN // it does not answer
			f.setPods(2)
		})
		r.pass(time.Second)
		require.Equal(r, stagev1.PodPhase_POD_PHASE_DRAINING, r.pod("a", "jarvis-1").GetPhase())
		require.Equal(r, stagev1.PodPhase_POD_PHASE_READY, r.pod("a", "jarvis-2").GetPhase(), "no more is known of it")
		require.Equal(r, stagev1.PodPhase_POD_PHASE_DEAD, r.pod("a", "jarvis-3").GetPhase())
	})
}

func TestALoadThatNoCrowdTakesIsRefused(t *testing.T) {
	_, err := director.New(director.Options{Calls: 24})
	require.ErrorIs(t, err, director.ErrOrder)
}
