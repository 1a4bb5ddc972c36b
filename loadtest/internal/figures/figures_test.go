package figures_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/figures"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

func run(backend, scenario string, valid bool, dropped uint64, p99 float64) *reportv1.Result {
	return &reportv1.Result{
		Backend: backend, Scenario: scenario, Valid: valid,
		Counts:       map[string]uint64{figures.DroppedCalls: dropped},
		Denominators: &reportv1.Denominators{CallMinutes: 10, Events: 2, Requests: 100, CallsPlaced: 24},
		Histograms: map[string]*reportv1.Histogram{figures.Inference: {
			Count: 100, Max: 2 * p99, Percentiles: []*reportv1.Percentile{{Percentile: 99, Value: p99}},
		}},
	}
}

func TestGroupsAreOrderedByScenarioAndBackend(t *testing.T) {
	groups := figures.Groups("", []*reportv1.Result{
		run("unknown", "b", true, 0, 1), run("istio-hash:maglev", "b", true, 0, 1), run("istio-hash", "b", true, 0, 1),
		run("roundrobin", "b", true, 0, 1), run("redis", "a", true, 0, 1), run("roundrobin", "b", true, 0, 1),
	})
	var got []string
	for _, g := range groups {
		got = append(got, g.Scenario+" "+g.Backend)
	}
	require.Equal(t, []string{"b roundrobin", "b istio-hash", "b istio-hash:maglev", "b unknown", "a redis"}, got)
	require.Len(t, groups[0].All, 2)
}

func TestFiguresComeFromValidRepeatsOnly(t *testing.T) {
	g := figures.Groups("", []*reportv1.Result{
		run("redis", "x", true, 3, 100), run("redis", "x", false, 500, 9000), run("redis", "x", true, 5, 300),
	})[0]
	require.True(t, g.Ranked())
	n, ok := g.Count(figures.DroppedCalls)
	require.True(t, ok)
	require.EqualValues(t, 8, n)
	rate, ok := g.PerThousandCallMinutes(figures.DroppedCalls)
	require.True(t, ok)
	require.Equal(t, 400.0, rate, "8 in 20 call-minutes")
	perEvent, ok := g.PerEvent(figures.DroppedCalls)
	require.True(t, ok)
	require.Equal(t, 2.0, perEvent, "8 in 4 events")
	p99, ok := g.Percentile(figures.Inference, 99)
	require.True(t, ok)
	require.Equal(t, figures.Range{Median: 200, Low: 100, High: 300, Runs: 2}, p99)
	worst, ok := g.Max(figures.Inference)
	require.True(t, ok)
	require.Equal(t, 600.0, worst.High)
}

func TestWithoutAValidRepeatTheFiguresAreNotRanked(t *testing.T) {
	g := figures.Groups("", []*reportv1.Result{run("redis", "x", false, 3, 100)})[0]
	require.False(t, g.Ranked())
	n, ok := g.Count(figures.DroppedCalls)
	require.True(t, ok, "it can still be looked into")
	require.EqualValues(t, 3, n)
}

func TestWhatWasNotMeasuredIsAbsent(t *testing.T) {
	counted, not := run("redis", "x", true, 3, 100), run("redis", "x", true, 3, 100)
	delete(not.Counts, figures.DroppedCalls)
	g := figures.Groups("", []*reportv1.Result{counted, not})[0]
	_, ok := g.Count(figures.DroppedCalls)
	require.False(t, ok, "one repeat did not count it")
	_, ok = g.Count(figures.Misroutes)
	require.False(t, ok)
	_, ok = g.Percentile(figures.Inference, 99.9)
	require.False(t, ok)
	_, ok = g.Percentile(figures.Gap, 50)
	require.False(t, ok)
	require.Nil(t, figures.Histogram(&reportv1.Result{Histograms: map[string]*reportv1.Histogram{figures.Gap: {}}}, figures.Gap), "no samples")
	none := figures.Group{Valid: []*reportv1.Result{{Counts: map[string]uint64{figures.DroppedCalls: 1}}}}
	_, ok = none.PerThousandCallMinutes(figures.DroppedCalls)
	require.False(t, ok, "no call was meant to be up")
	_, ok = none.PerEvent(figures.DroppedCalls)
	require.False(t, ok)
}

func TestMoved(t *testing.T) {
	predicted, wrong, least := uint64(18), uint64(0), 0.7
	r := &reportv1.Result{Valid: true, Events: []*reportv1.Event{
		{Name: "scale=10", ObservedSessions: 24, MovedSessions: 18, PredictedMoved: &predicted, Mispredicted: &wrong, MinimalShare: &least},
		{Name: "kill", ObservedSessions: 24, MovedSessions: 6, DetouredSessions: 9},
		{Name: "late"},
	}}
	g := figures.Group{Valid: []*reportv1.Result{r}}
	scale, ok := g.Moved(func(e *reportv1.Event) bool { return e.GetName() == "scale=10" })
	require.True(t, ok)
	share, ok := scale.Share()
	require.True(t, ok)
	require.Equal(t, 0.75, share)
	share, ok = scale.PredictedShare()
	require.True(t, ok)
	require.Equal(t, 0.75, share)
	require.True(t, scale.HasMispredicted)
	require.InDelta(t, 0.7, scale.MinimalShare, 1e-9)

	all, ok := g.Moved(figures.EveryEvent)
	require.True(t, ok)
	require.EqualValues(t, 24, all.Moved)
	require.EqualValues(t, 9, all.Detoured)
	require.False(t, all.HasPrediction, "one event has none")
	_, ok = all.PredictedShare()
	require.False(t, ok)

	_, ok = g.Moved(func(e *reportv1.Event) bool { return e.GetName() == "late" })
	require.False(t, ok, "nothing was observed")
}

func TestEvenKeepsTheRepeatsThatAllHave(t *testing.T) {
	repeat := func(backend string, n uint32, valid bool, dropped uint64) *reportv1.Result {
		r := run(backend, "x", valid, dropped, 1)
		r.Repeat = n
		return r
	}
	groups := figures.Groups("", []*reportv1.Result{
		repeat("redis", 1, true, 1), repeat("redis", 2, true, 10), repeat("redis", 3, true, 100),
		repeat("handoff", 1, true, 2), repeat("handoff", 2, false, 20), repeat("handoff", 3, true, 200),
		repeat("app-hash", 1, false, 7),
	})
	require.Equal(t, []uint32{1, 3}, figures.Even(groups))
	for backend, want := range map[string]uint64{"redis": 101, "handoff": 202, "app-hash": 7} {
		for _, g := range groups {
			if g.Backend == backend {
				n, ok := g.Count(figures.DroppedCalls)
				require.True(t, ok)
				require.Equal(t, want, n, backend)
			}
		}
	}
	require.Len(t, groups[0].Valid, 3, "what is valid stays so")

	apart := figures.Groups("", []*reportv1.Result{repeat("redis", 1, true, 1), repeat("handoff", 2, true, 2)})
	require.Empty(t, figures.Even(apart))
	require.Len(t, apart[0].Used(), 1, "nothing in common, nothing left out")
}

func TestOver(t *testing.T) {
	_, ok := figures.Over(nil)
	require.False(t, ok)
	odd, _ := figures.Over([]float64{9, 1, 5})
	require.Equal(t, figures.Range{Median: 5, Low: 1, High: 9, Runs: 3}, odd)
}

func TestFleetSize(t *testing.T) {
	r := &reportv1.Result{Pods: []*reportv1.PodLoad{{}, {}, {}}}
	require.Equal(t, 3, figures.FleetSize(r))
	r.Events = []*reportv1.Event{{Changes: []*reportv1.EndpointChange{{Healthy: 2}, {Healthy: 10}}}}
	require.Equal(t, 10, figures.FleetSize(r), "seven pods served nothing")
}

func TestPeakToMeanIsOfTheWholeFleet(t *testing.T) {
	r := &reportv1.Result{Pods: []*reportv1.PodLoad{{Requests: 30}, {Requests: 10}, {Requests: 0}}}
	require.Equal(t, 2, figures.Served(r))
	ratio, ok := figures.PeakToMean(r)
	require.True(t, ok)
	require.InDelta(t, 30/(40.0/3), ratio, 1e-9, "the pod that served nothing counts")
	r.Events = []*reportv1.Event{{Changes: []*reportv1.EndpointChange{{Healthy: 4}}}}
	ratio, _ = figures.PeakToMean(r)
	require.InDelta(t, 3, ratio, 1e-9, "also one that is not listed")
	_, ok = figures.PeakToMean(&reportv1.Result{Pods: []*reportv1.PodLoad{{}}})
	require.False(t, ok, "nothing was served")
}
