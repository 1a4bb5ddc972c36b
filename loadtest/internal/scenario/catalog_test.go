package scenario_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/scenario"
)

func TestCatalogHoldsTheScenariosByName(t *testing.T) {
	var names []string
	for _, s := range append(scenario.Catalog(scenario.Local()), scenario.Demo(scenario.Local())) {
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
		"steady", "scale-3-10", "scale-3-5", "scale-10-3", "kill", "freeze", "rollout", "redis-outage", "smaran-kill", "no-header", "demo",
	}, names)
}

// A call that loses its media is only known to be dropped ten seconds later.
func TestEveryScenarioLastsUntilADropCanBeSeen(t *testing.T) {
	after := map[string]time.Duration{"scale-10-3": 5 * time.Second, "rollout": 12 * time.Second} // how long the event goes on
	for _, s := range scenario.Catalog(scenario.Local()) {
		if n := len(s.Events); n > 0 {
			require.GreaterOrEqual(t, s.Duration, s.Events[n-1].At+after[s.Name]+11*time.Second, s.Name)
		}
	}
}

func TestTheDemoKillsByItsEighthSecond(t *testing.T) {
	demo := scenario.Demo(scenario.Local())
	require.Equal(t, scenario.KindKill, demo.Events[0].Kind)
	require.LessOrEqual(t, demo.Events[0].At, 5*time.Second, "with a warm-up of 3 s that is the eighth second")
	require.LessOrEqual(t, demo.Duration, 20*time.Second)
}

func TestFind(t *testing.T) {
	all, err := scenario.Find(nil, scenario.Local())
	require.NoError(t, err)
	require.Len(t, all, len(scenario.Catalog(scenario.Local())))

	some, err := scenario.Find([]string{"rollout", "kill"}, scenario.Local())
	require.NoError(t, err)
	require.Len(t, some, 2)
	require.Equal(t, "kill", some[0].Name, "in the catalog's order")

	_, err = scenario.Find([]string{"kill", "meteor"}, scenario.Local())
	require.ErrorIs(t, err, scenario.ErrScenario)
	require.ErrorContains(t, err, "meteor")
	require.ErrorContains(t, err, "redis-outage", "says what there is")
}

func TestAScenarioLastsLongerWhereItsEventsTakeLonger(t *testing.T) {
	slow := scenario.Pace{
		Join: 4 * time.Second, Leave: 20 * time.Second, Replace: 15 * time.Second, Recover: 8 * time.Second, Redis: 6 * time.Second,
	}
	got := map[string]time.Duration{}
	for _, s := range scenario.Catalog(slow) {
		got[s.Name] = s.Duration / time.Second
	}
	require.Equal(t, map[string]time.Duration{
		"steady": 10, "no-header": 8, // nothing happens in them
		"scale-3-10": 3 + 7*4 + 12, "scale-3-5": 3 + 2*4 + 12, "scale-10-3": 3 + 20 + 12, "kill": 3 + 8 + 12, "freeze": 3 + 8 + 12, "rollout": 3 + 3*15 + 12,
		"redis-outage": 9 + 6 + 6 + 12, "smaran-kill": 3 + 8 + 12, // Redis comes back later where it takes longer to go
	}, got)
	require.Equal(t, (17+8+7*4)*time.Second, scenario.Demo(slow).Duration)
}
