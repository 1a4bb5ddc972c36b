package threshold_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/threshold"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// result has a figure of each sort, and no gaps.
func result() *reportv1.Result {
	return &reportv1.Result{
		Counts: map[string]uint64{"dropped_calls": 0, "misroutes": 7},
		Histograms: map[string]*reportv1.Histogram{
			"inference_ms": {Count: 200, Percentiles: []*reportv1.Percentile{{Percentile: 50, Value: 101.5}, {Percentile: 99, Value: 880}}},
			"gap_moved_ms": {Count: 20, Percentiles: []*reportv1.Percentile{{Percentile: 99, Value: 140}}},
			"setup_ms":     {},
		},
	}
}

func TestJudge(t *testing.T) {
	for expression, want := range map[string]*reportv1.Threshold{
		"dropped_calls==0":        {Expression: "dropped_calls==0", Passed: true, Found: "0"},
		"dropped_calls > 0":       {Expression: "dropped_calls>0", Found: "0"},
		"misroutes==0":            {Expression: "misroutes==0", Found: "7"},
		"misroutes != 0":          {Expression: "misroutes!=0", Passed: true, Found: "7"},
		"misroutes<=7":            {Expression: "misroutes<=7", Passed: true, Found: "7"},
		"misroutes<7":             {Expression: "misroutes<7", Found: "7"},
		"misroutes>=7":            {Expression: "misroutes>=7", Passed: true, Found: "7"},
		"inference_p50_ms<101.6":  {Expression: "inference_p50_ms<101.6", Passed: true, Found: "101.5"},
		" inference_p99_ms < 400": {Expression: "inference_p99_ms<400", Found: "880"},
	} {
		th, err := threshold.Parse(expression)
		require.NoError(t, err, expression)
		got := th.Judge(result())
		require.Equal(t, want.GetExpression(), got.GetExpression())
		require.Equal(t, want.GetPassed(), got.GetPassed(), expression)
		require.Equal(t, want.GetFound(), got.GetFound(), expression)
	}
}

func TestNoSamplesFail(t *testing.T) {
	for _, expression := range []string{
		"forwards==0",              // not counted
		"mispredicted_sessions==0", // not counted for this backend
		"setup_p99_ms<1000",        // no value
		"inference_p99_9_ms<1000",  // too few values for it
		"gap_moved_excess_p99_ms<60",
		"gap_moved_excess_p99_ms>=0",
	} {
		th, err := threshold.Parse(expression)
		require.NoError(t, err, expression)
		got := th.Judge(result())
		require.False(t, got.GetPassed(), expression)
		require.Equal(t, "no samples", got.GetFound(), expression)
	}
}

func TestGapExcessIsAboveTheCallsThatDidNotMove(t *testing.T) {
	r := result()
	r.Histograms["gap_unmoved_ms"] = &reportv1.Histogram{Count: 20, Percentiles: []*reportv1.Percentile{{Percentile: 99, Value: 25}}}
	v, ok := threshold.Value(r, "gap_moved_excess_p99_ms")
	require.True(t, ok)
	require.InDelta(t, 115, v, 1e-9)
}

func TestParseRefuses(t *testing.T) {
	for _, expression := range []string{
		"", "dropped_calls", "dropped_calls=0", "dropped_calls==", "==0", "dropped_calls==-1", "dropped_calls==0ms", "dropped_calls==0 or 1",
		"dropped==0", "inference_p98_ms<1", "Dropped_Calls==0",
	} {
		_, err := threshold.Parse(expression)
		require.ErrorIs(t, err, threshold.ErrSyntax, expression)
	}
	_, err := threshold.Parse("dropped==0")
	require.ErrorContains(t, err, "dropped_calls", "says what there is")
}

func TestTheNamesOfThePublicInterface(t *testing.T) {
	require.Subset(t, threshold.Names(), []string{
		"dropped_calls", "unspoken", "forwards", "media_interruptions", "signal_reconnects", "renegotiations", "migrations",
		"setup_failures", "misroutes", "state_lost", "cold_starts", "moved_sessions", "mispredicted_sessions", "requests_failed",
		"inference_p50_ms", "inference_p75_ms", "inference_p90_ms", "inference_p99_ms", "inference_p99_9_ms", "setup_p99_ms",
		"gap_p50_ms", "gap_p99_ms", "gap_moved_excess_p99_ms",
		"misrouted_requests", "calls_down_at_end",
	})
}
