package jarvis_test

import (
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/services/jarvis/model"
)

func instantModel() *model.Model { return model.New(model.Timings{}, 1) }

// metric is the sum over a family's series; labels are pairs that a series must have.
func (b *bench) metric(t testing.TB, name string, labels ...string) float64 {
	t.Helper()
	families, err := b.registry.Gather()
	require.NoError(t, err)
	sum, found := 0.0, false
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, series := range family.GetMetric() {
			has := []string{}
			for _, label := range series.GetLabel() {
				has = append(has, label.GetName(), label.GetValue())
			}
			if len(labels) == 0 || slices.Equal(labels, has) {
				found = true
				sum += series.GetCounter().GetValue() + series.GetGauge().GetValue() + float64(series.GetHistogram().GetSampleCount())
			}
		}
	}
	require.True(t, found, "no metric %s %v", name, labels)
	return sum
}

// Dashboards and reports ask for these very names.
func TestMetricNamesAreAContract(t *testing.T) {
	b := start(t, nil)
	families, err := b.registry.Gather()
	require.NoError(t, err)
	got := map[string][]string{}
	for _, family := range families {
		labels := []string{}
		for _, series := range family.GetMetric() {
			for _, label := range series.GetLabel() {
				labels = append(labels, label.GetName()+"="+label.GetValue())
			}
		}
		got[family.GetName()] = labels
	}
	require.Equal(t, map[string][]string{
		"jarvis_inference_duration_seconds": {},
		"jarvis_inferences_total":           {"state=cached", "state=cold", "state=warm"},
		"jarvis_sessions":                   {},
		"jarvis_calls":                      {},
		"jarvis_connections":                {},
		"jarvis_draining":                   {},
		"jarvis_drain_remaining_seconds":    {},
		"jarvis_drain_sessions":             {},
		"jarvis_fences_refused_total":       {},
		"jarvis_sessions_dropped_total":     {"reason=idle", "reason=lru", "reason=passed_over", "reason=stale", "reason=turns"},
	}, got)
	problems, err := testutil.GatherAndLint(b.registry)
	require.NoError(t, err)
	require.Empty(t, problems)
}

func TestMetricsCountWhatHappened(t *testing.T) {
	b := ready(t, nil)
	for _, prompt := range []string{"x", "y", "x"} {
		b.infer(t, "a", &jarvisv1.InferRequest{Prompt: prompt})
	}
	b.offer(t, "b")
	for _, found := range []string{"cold", "warm", "cached"} {
		require.EqualValues(t, 1, b.metric(t, "jarvis_inferences_total", "state", found), found)
	}
	require.EqualValues(t, 3, b.metric(t, "jarvis_inference_duration_seconds"))
	require.EqualValues(t, 2, b.metric(t, "jarvis_sessions"))
	require.EqualValues(t, 1, b.metric(t, "jarvis_calls"))
}
