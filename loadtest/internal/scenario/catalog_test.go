package scenario_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/scenario"
)

func TestCatalogHoldsTheScenariosByName(t *testing.T) {
	var names []string
	for _, s := range append(scenario.Catalog(), scenario.Demo()) {
		names = append(names, s.Name)
		require.Positive(t, s.Pods, s.Name)
		last := time.Duration(0)
		for _, e := range s.Events {
			require.GreaterOrEqual(t, e.At, last, "%s: events in order", s.Name)
			last = e.At
		}
		require.Greater(t, s.Duration, last+3*time.Second, "%s: time to settle after the last event", s.Name)
	}
	require.Equal(t, []string{
		"steady", "scale-3-10", "scale-3-5", "scale-10-3", "kill", "rollout", "redis-outage", "smaran-kill", "no-header", "demo",
	}, names)
}

// A call that loses its media is only known to be dropped ten seconds later.
func TestEveryScenarioLastsUntilADropCanBeSeen(t *testing.T) {
	after := map[string]time.Duration{"scale-10-3": 5 * time.Second, "rollout": 12 * time.Second} // how long the event goes on
	for _, s := range scenario.Catalog() {
		if n := len(s.Events); n > 0 {
			require.GreaterOrEqual(t, s.Duration, s.Events[n-1].At+after[s.Name]+11*time.Second, s.Name)
		}
	}
}

func TestTheDemoKillsByItsEighthSecond(t *testing.T) {
	demo := scenario.Demo()
	require.Equal(t, scenario.KindKill, demo.Events[0].Kind)
	require.LessOrEqual(t, demo.Events[0].At, 5*time.Second, "with a warm-up of 3 s that is the eighth second")
	require.LessOrEqual(t, demo.Duration, 20*time.Second)
}

func TestFind(t *testing.T) {
	all, err := scenario.Find(nil)
	require.NoError(t, err)
	require.Len(t, all, len(scenario.Catalog()))

	some, err := scenario.Find([]string{"rollout", "kill"})
	require.NoError(t, err)
	require.Len(t, some, 2)
	require.Equal(t, "kill", some[0].Name, "in the catalog's order")

	_, err = scenario.Find([]string{"kill", "meteor"})
	require.ErrorIs(t, err, scenario.ErrScenario)
	require.ErrorContains(t, err, "meteor")
	require.ErrorContains(t, err, "redis-outage", "says what there is")
}
