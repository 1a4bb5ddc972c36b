package claims_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/smaran-v2/smaran/loadtest/internal/claims"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

const (
	reproduced    = reportv1.Verdict_VERDICT_REPRODUCED
	notReproduced = reportv1.Verdict_VERDICT_NOT_REPRODUCED
	depends       = reportv1.Verdict_VERDICT_DEPENDS
	notHere       = reportv1.Verdict_VERDICT_NOT_MEASURABLE_HERE
	notRun        = reportv1.Verdict_VERDICT_NOT_RUN
)

func TestThereAreExactlyThe39Claims(t *testing.T) {
	all := claims.All()
	require.Len(t, all, 39)
	for i, d := range all {
		require.EqualValues(t, i+1, d.Number)
		require.NotEmpty(t, d.Text, d.Number)
		require.NotEmpty(t, d.Method, d.Number)
		for s := range strings.SplitSeq(d.Source, ", ") {
			require.Contains(t, []string{"S", "T", "P", "K"}, s, d.Number)
		}
		switch d.Place {
		case claims.PlaceScenario, claims.PlaceExperiment:
			require.True(t, strings.HasPrefix(d.Command(), "bin/loadtest "), d.Number)
		case claims.PlaceMesh:
			require.True(t, strings.HasPrefix(d.Command(), "bin/loadtest claims --context "), d.Number)
			require.NotEmpty(t, d.Needs, d.Number)
		default:
			require.Fail(t, "unknown place", "claim %d: %q", d.Number, d.Place)
		}
		found, ok := claims.Lookup(d.Number)
		require.True(t, ok)
		require.Equal(t, d.Text, found.Text)
	}
	for _, n := range []uint32{0, 40} {
		_, ok := claims.Lookup(n)
		require.False(t, ok, n)
	}
}

// The sources as notes on the claims have them, so that a row that slips is noticed.
func TestClaimsKeepTheirSources(t *testing.T) {
	sources := map[string][]uint32{
		"T": {22, 23, 24, 25}, "P": {28}, "P, K": {26, 27}, "K": {12, 29, 30, 31, 32, 33, 34, 35, 36},
	}
	of := map[uint32]string{}
	for source, numbers := range sources {
		for _, n := range numbers {
			of[n] = source
		}
	}
	for _, d := range claims.All() {
		want, ok := of[d.Number]
		if !ok {
			want = "S"
		}
		require.Equal(t, want, d.Source, d.Number)
	}
}

func TestAnEmptyReportAnswersNothing(t *testing.T) {
	rows := claims.Evaluate(&reportv1.Report{})
	require.Len(t, rows, claims.Count)
	for i, c := range rows {
		d, _ := claims.Lookup(uint32(i + 1))
		require.Equal(t, d.Number, c.GetNumber())
		require.Empty(t, c.GetMeasured(), c.GetNumber())
		require.False(t, claims.Decided(c), c.GetNumber())
		if d.Place == claims.PlaceMesh {
			require.Contains(t, c.GetNote(), d.Command(), c.GetNumber())
			require.Equal(t, notHere, c.GetVerdict(), c.GetNumber())
			require.Contains(t, c.GetNote(), d.Needs)
		} else {
			require.Equal(t, notRun, c.GetVerdict(), c.GetNumber())
			require.Equal(t, d.Command(), c.GetNote())
		}
	}
}

func TestAFindingInTheReportStaysUnlessResultsSayMore(t *testing.T) {
	r := &reportv1.Report{Claims: []*reportv1.Claim{
		{Number: 3, Verdict: depends, Measured: "0.2 ms"},
		{Number: 4, Verdict: notHere, Note: "no redis-server"},
		{Number: 11, Verdict: reproduced, Measured: "predicted"},
	}}
	rows := claims.Evaluate(r)
	require.True(t, proto.Equal(r.GetClaims()[0], rows[2]))
	require.Equal(t, "no redis-server", rows[3].GetNote())
	require.Equal(t, "predicted", rows[10].GetMeasured())

	r.Results = []*reportv1.Result{scaling("istio-hash", 3, 10, 100, 78)}
	rows = claims.Evaluate(r)
	require.Equal(t, notReproduced, rows[10].GetVerdict(), "results are better evidence than a prediction")
	require.Len(t, r.GetClaims(), 3, "the report is not changed")
}

func TestRunsThatAreNotValidAreNoEvidence(t *testing.T) {
	result := scaling("redis", 3, 10, 100, 0)
	require.Equal(t, notReproduced, verdict(t, 7, result))
	result.Valid = false
	c := claim(t, 7, result)
	require.Equal(t, notRun, c.GetVerdict())
	require.Contains(t, c.GetNote(), "not valid")
}

func TestInterval(t *testing.T) {
	low, high := claims.Interval(78, 100)
	require.InDelta(t, 0.689, low, 0.001) // Wilson's, as in any table of it
	require.InDelta(t, 0.850, high, 0.001)
	low, high = claims.Interval(0, 0)
	require.Zero(t, low)
	require.Equal(t, 1.0, high)
	for n := range uint64(3000) {
		low, _ = claims.Interval(0, n)
		_, high = claims.Interval(n, n)
		require.GreaterOrEqual(t, low, 0.0, n)
		require.LessOrEqual(t, high, 1.0, n)
	}
}

func claim(t *testing.T, number uint32, results ...*reportv1.Result) *reportv1.Claim {
	t.Helper()
	c := claims.Evaluate(&reportv1.Report{Results: results})[number-1]
	require.Equal(t, number, c.GetNumber())
	return c
}

func verdict(t *testing.T, number uint32, results ...*reportv1.Result) reportv1.Verdict {
	t.Helper()
	return claim(t, number, results...).GetVerdict()
}
