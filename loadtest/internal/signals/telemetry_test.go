package signals_test

import (
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/signals"
)

// TestEachMetricIsEmitted: docs/telemetry.md is held to what /metrics shows by tests of the services, and dashboards are held to it here.
func TestEachMetricIsEmitted(t *testing.T) {
	text, err := os.ReadFile(root + "docs/telemetry.md")
	require.NoError(t, err)
	emitted, err := signals.Table(string(text))
	require.NoError(t, err)
	for _, q := range read(t).Queries() {
		for _, series := range q.Metrics {
			if !slices.Contains(others, series) {
				require.True(t, slices.ContainsFunc(emitted, func(m signals.Metric) bool { return m.Has(series) }), "%s asks for %s, which nobody emits", q, series)
			}
		}
	}
}
