package cli

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/figures"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

func TestAPercentileOfTooFewSamplesIsNotZero(t *testing.T) {
	r := &reportv1.Result{Valid: true, Histograms: map[string]*reportv1.Histogram{figures.Inference: {Count: 3}}}
	require.Contains(t, verdict(r, nil), "inference p99 –")
	r.Histograms[figures.Inference].Percentiles = []*reportv1.Percentile{{Percentile: 99, Value: 120.4}}
	require.Contains(t, verdict(r, nil), "inference p99 120 ms")
}
