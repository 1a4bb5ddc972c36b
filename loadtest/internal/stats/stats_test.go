package stats_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/smaran-v2/smaran/loadtest/internal/stats"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

func seeded() *rand.Rand { return rand.New(rand.NewPCG(1, 1)) }

func TestBootstrapIsAMedianWithinItsInterval(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(-1e6, 1e6), 1, 20).Draw(t, "values")
		given := slices.Clone(values)
		i := stats.Bootstrap(seeded(), values)
		require.Equal(t, given, values, "the argument is left alone")
		require.LessOrEqual(t, i.Low, i.Estimate)
		require.GreaterOrEqual(t, i.High, i.Estimate)
		require.GreaterOrEqual(t, i.Low, slices.Min(values))
		require.LessOrEqual(t, i.High, slices.Max(values))
		require.Equal(t, i, stats.Bootstrap(seeded(), values), "the seed decides")
	})
}

func TestBootstrapNarrowsWithMoreRuns(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 3))
	draw := func(n int) stats.Interval {
		values := make([]float64, n)
		for i := range values {
			values[i] = 100 + 10*random.NormFloat64()
		}
		return stats.Bootstrap(seeded(), values)
	}
	few, many := draw(5), draw(200)
	require.Greater(t, few.High-few.Low, 2*(many.High-many.Low))
}

// The interval of the median should hold the true one about as often as it says. The count was not tuned: percentile intervals of
// a median of fifteen are known to come out a little wide.
func TestBootstrapCoversTheTruth(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 4))
	const trials = 300
	covered := 0
	for range trials {
		values := make([]float64, 15)
		for i := range values {
			values[i] = random.ExpFloat64()
		}
		const median = 0.6931471805599453 // ln 2
		i := stats.Bootstrap(random, values)
		if i.Low <= median && median <= i.High {
			covered++
		}
	}
	require.InDelta(t, stats.Confidence, float64(covered)/trials, 0.04)
}

func result(backend string, repeat uint32, dropped uint64, valid bool) *reportv1.Result {
	return &reportv1.Result{
		Scenario: "kill", Backend: backend, Repeat: repeat, Valid: valid, Counts: map[string]uint64{"dropped_calls": dropped},
	}
}

func TestCompareIsPairedByRepeat(t *testing.T) {
	results := []*reportv1.Result{
		result("istio-hash", 1, 10, true), result("redis", 1, 4, true),
		result("istio-hash", 2, 20, true), result("redis", 2, 14, true),
		result("istio-hash", 3, 30, false), result("redis", 3, 0, true), // the baseline's third is not valid
	}
	got := stats.Compare(1, results, "istio-hash")
	require.Len(t, got, 2)
	redis, base := got[0], got[1]
	require.Equal(t, "redis", redis.GetBackend(), "in the order of the story")
	require.EqualValues(t, 3, redis.GetRepeats())
	require.EqualValues(t, 2, redis.GetPairs())
	require.InDelta(t, 4, redis.GetValue().GetEstimate(), 1e-9)
	require.InDelta(t, -6, redis.GetDifference().GetEstimate(), 1e-9)
	require.InDelta(t, -6, redis.GetDifference().GetLow(), 1e-9, "the same in both pairs, however much the repeats differ")
	require.InDelta(t, -6, redis.GetDifference().GetHigh(), 1e-9)
	require.Equal(t, "istio-hash", base.GetBackend())
	require.EqualValues(t, 2, base.GetRepeats())
	require.Nil(t, base.GetDifference())
}

func TestComparisonsDoNotDependOnWhatElseIsCompared(t *testing.T) {
	some := []*reportv1.Result{result("redis", 1, 4, true), result("redis", 2, 9, true), result("redis", 3, 1, true)}
	more := append(slices.Clone(some), result("app-hash", 1, 1, true), result("roundrobin", 1, 80, true))
	find := func(all []*reportv1.Comparison) *reportv1.Comparison {
		return all[slices.IndexFunc(all, func(c *reportv1.Comparison) bool { return c.GetBackend() == "redis" })]
	}
	require.Equal(t, find(stats.Compare(1, some, "istio-hash")).String(), find(stats.Compare(1, more, "istio-hash")).String())
}
