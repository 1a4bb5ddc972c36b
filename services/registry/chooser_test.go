package registry_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/smaran-v2/smaran/services/registry"
)

func seeded() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

func ready(name string, sessions int) registry.Pod {
	return registry.Pod{Name: name, Incarnation: "a", Beat: 1, Status: registry.Status{State: registry.StateReady, Sessions: sessions}}
}

func TestRankHoldsEveryReadyPodOnceAndFullOnesLast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := registry.NewChooser(rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)))
		states := []registry.State{registry.StateStarting, registry.StateReady, registry.StateDraining}
		var pods []registry.Pod
		var want []string
		full := map[string]bool{}
		for i := range rapid.IntRange(0, 12).Draw(t, "pods") {
			p := ready(fmt.Sprintf("jarvis-%d", i), rapid.IntRange(0, 9).Draw(t, "sessions"))
			p.State = rapid.SampledFrom(states).Draw(t, "state")
			p.MaxSessions = rapid.IntRange(0, 9).Draw(t, "max")
			full[p.Name] = p.MaxSessions > 0 && p.Sessions >= p.MaxSessions
			if p.State == registry.StateReady {
				want = append(want, p.Name)
			}
			pods = append(pods, p)
		}
		c.Update(pods)
		got := c.Rank(nil)
		firstFull := slices.IndexFunc(got, func(name string) bool { return full[name] })
		if firstFull >= 0 {
			require.False(t, slices.ContainsFunc(got[firstFull:], func(name string) bool { return !full[name] }),
				"a full pod before one that is not: %v", got)
		}
		slices.Sort(got)
		slices.Sort(want)
		require.True(t, slices.Equal(want, got), "want %v, got %v", want, got)
	})
}

func TestRankLeavesOutWhatIsNotAllowed(t *testing.T) {
	c := registry.NewChooser(seeded())
	c.Update([]registry.Pod{ready("a", 0), ready("b", 0), ready("c", 0)})
	for range 50 {
		require.NotContains(t, c.Rank(func(pod string) bool { return pod != "b" }), "b")
	}
}

func TestTheMoreLoadedOfTwoIsNeverFirst(t *testing.T) {
	c := registry.NewChooser(seeded())
	c.Update([]registry.Pod{ready("busy", 10), ready("idle", 9)})
	for range 100 {
		require.Equal(t, []string{"idle", "busy"}, c.Rank(nil))
	}
}

// spread gives n sessions away and returns how many each pod got.
func spread(c *registry.Chooser, n int, note bool) map[string]int {
	got := map[string]int{}
	for range n {
		first := c.Rank(nil)[0]
		got[first]++
		if note {
			c.Given(first)
		}
	}
	return got
}

func TestAssignmentsOfThisProcessCountBeforeTheyArePublished(t *testing.T) {
	pods := []registry.Pod{ready("a", 0), ready("b", 5), ready("c", 5), ready("d", 5)}
	const sessions = 1000
	c := registry.NewChooser(seeded())
	c.Update(pods)
	counts := spread(c, sessions, true)
	for _, p := range pods {
		require.InDelta(t, sessions/len(pods), counts[p.Name], 25, "%v", counts)
	}

	herd := registry.NewChooser(seeded())
	herd.Update(pods)
	require.Greater(t, spread(herd, sessions, false)["a"], 450, "control: without them, half go to the idlest pod")
}

func TestPublishedAssignmentsAreForgotten(t *testing.T) {
	publish := func(c *registry.Chooser, beat uint64, sessions int) {
		a, b := ready("a", sessions), ready("b", 10)
		a.Beat, b.Beat = beat, beat
		c.Update([]registry.Pod{a, b})
	}
	c := registry.NewChooser(seeded())
	publish(c, 1, 0)
	for range 11 {
		c.Given("a")
	}
	require.Equal(t, "b", c.Rank(nil)[0])
	publish(c, 1, 0) // read again before it was renewed
	require.Equal(t, "b", c.Rank(nil)[0])
	publish(c, 2, 0) // may have been written before the assignments arrived
	require.Equal(t, "b", c.Rank(nil)[0])
	publish(c, 3, 0) // they ended meanwhile
	require.Equal(t, "a", c.Rank(nil)[0])
}

func TestNewIncarnationStartsFromZero(t *testing.T) {
	c := registry.NewChooser(seeded())
	c.Update([]registry.Pod{ready("a", 0), ready("b", 3)})
	for range 5 {
		c.Given("a")
	}
	require.Equal(t, "b", c.Rank(nil)[0])
	restarted := ready("a", 0)
	restarted.Incarnation = "b"
	c.Update([]registry.Pod{restarted, ready("b", 3)})
	require.Equal(t, "a", c.Rank(nil)[0])
}
