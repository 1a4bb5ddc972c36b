package telemetry_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"

	"github.com/smaran-v2/smaran/services/telemetry"
)

func scrape(t *testing.T, tel *telemetry.Telemetry, accept string) string {
	t.Helper()
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/metrics", nil)
	r.Header.Set("Accept", accept)
	telemetry.Scrape(tel.Registry, tel.Log).ServeHTTP(w, r)
	require.Equal(t, http.StatusOK, w.Code)
	return w.Body.String()
}

func TestASampledRequestLeavesItsTraceInTheHistogram(t *testing.T) {
	tel := setup(t, io.Discard)
	h := prometheus.NewHistogram(telemetry.Histogram(prometheus.HistogramOpts{Name: "took_seconds", Help: "Time.", Buckets: []float64{.1, 1}}))
	tel.Registry.MustRegister(h)
	sampled := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled})
	not := sampled.WithTraceFlags(0).WithTraceID(trace.TraceID{3})

	telemetry.Observe(t.Context(), h, 50*time.Millisecond)
	telemetry.Observe(trace.ContextWithSpanContext(t.Context(), not), h, 50*time.Millisecond)
	require.NotContains(t, scrape(t, tel, "application/openmetrics-text;version=1.0.0"), "trace_id", "neither had a sampled trace")

	telemetry.Observe(trace.ContextWithSpanContext(t.Context(), sampled), h, 500*time.Millisecond)
	metrics := scrape(t, tel, "application/openmetrics-text;version=1.0.0")
	require.Contains(t, metrics, `took_seconds_bucket{le="1.0"} 3 # {trace_id="`+sampled.TraceID().String()+`"} 0.5`)
	require.Contains(t, metrics, `took_seconds_bucket{le="0.1"} 2`)
	require.NotContains(t, scrape(t, tel, "text/plain"), "trace_id", "the old text format has no exemplars")

	families, err := tel.Registry.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() == "took_seconds" {
			native := f.GetMetric()[0].GetHistogram()
			require.NotEmpty(t, native.GetPositiveSpan(), "kept natively as well")
			require.Len(t, native.GetBucket(), 2)
		}
	}
}

func TestObservingWithoutATraceAllocatesNothing(t *testing.T) {
	h := prometheus.NewHistogram(telemetry.Histogram(prometheus.HistogramOpts{Name: "took_seconds", Help: "Time."}))
	ctx := context.Background()
	require.Zero(t, testing.AllocsPerRun(100, func() { telemetry.Observe(ctx, h, time.Millisecond) }))
}
