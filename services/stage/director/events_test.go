package director_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/stage/director"
	"github.com/smaran-v2/smaran/services/stage/venue"
)

func load(o *director.Options) { o.Calls, o.Rate = 24, 24 }

// callers are sessions, and where each is by the algorithm among the fleet's pods.
func callers(n int, f *fleet) map[string]string {
	hosts := f.hosts()
	ring, err := affinity.NewRing(hosts, affinity.Options{MinRingSize: 1024})
	if err != nil {
		return nil
	}
	out := map[string]string{}
	for i := range n {
		id := fmt.Sprintf("caller-%d", i)
		out[id] = f.status.GetPods()[ring.Pick(affinity.HashValue(id), 0)].GetName()
	}
	return out
}

func differing(a, b map[string]string) (n uint32) {
	for id := range a {
		if a[id] != b[id] {
			n++
		}
	}
	return n
}

func TestAScaleOutShowsWhatItMovesAndWhatItWasExpectedTo(t *testing.T) {
	f := newFleet("istio-hash", "ring", 3)
	inBubble(t, newPlace(f), load, func(r *rig) {
		c := r.crowd("a")
		before := callers(40, f)
		c.tells(answers("warm", before))
		require.Zero(r, *r.lane("a").GetMeters().Expected)

		f.hold = make(chan struct{})
		group := r.order(director.Order{Verb: venue.Scale, Pods: 10})
		e := r.events(group)["a"]
		require.Equal(r, "scale=10", e.GetName())
		require.Nil(r, e.FinishedMs, "it is on its way")
		r.pass(time.Second)
		close(f.hold)
		r.pass(200 * time.Millisecond)
		e = r.events(group)["a"]
		require.Greater(r, e.GetFinishedMs(), e.GetStartedMs())
		after := callers(40, f)
		moving := differing(before, after)
		require.Greater(r, moving, uint32(10))
		require.Equal(r, moving, e.GetExpected())
		require.Zero(r, e.GetObserved(), "no answer since")

		c.tells(answers("warm", after))
		e = r.events(group)["a"]
		require.EqualValues(r, 40, e.GetObserved())
		require.Equal(r, moving, e.GetMoved())
		require.Equal(r, moving, r.lane("a").GetMeters().GetMoved())
		require.Equal(r, moving, r.lane("a").GetMeters().GetExpected())
		require.EqualValues(r, 40, e.GetCounts()["requests"])
		require.Contains(r, e.GetCounts(), "cold_starts", "measured, and 0")
		require.NotContains(r, e.GetCounts(), "dropped_calls", "no call was ever up")
		require.Len(r, r.ring("a").GetPods(), 10)
		require.Equal(r, after["caller-7"], r.session("a", "caller-7").GetPod())
	})
}
