package telemetry

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
)

// Bounds of a native histogram: buckets grow by a tenth, and where that takes more than maxBuckets they are begun anew, at most once in
// resetAfter, and then made coarser.
const (
	bucketFactor = 1.1
	maxBuckets   = 160
	resetAfter   = time.Hour
)

// Histogram has a histogram kept natively besides its buckets: a Prometheus that asks for native histograms gets those, any other one the
// buckets.
func Histogram(o prometheus.HistogramOpts) prometheus.HistogramOpts {
	o.NativeHistogramBucketFactor = bucketFactor
	o.NativeHistogramMaxBucketNumber = maxBuckets
	o.NativeHistogramMinResetDuration = resetAfter
	return o
}

// exemplarKey names the trace in an exemplar; Grafana looks for it under this name unless told otherwise.
const exemplarKey = "trace_id"

// Observe counts a duration, in seconds, with the context's trace as an exemplar if that is sampled.
func Observe(ctx context.Context, to prometheus.Observer, took time.Duration) {
	if span := trace.SpanContextFromContext(ctx); span.IsSampled() {
		if e, ok := to.(prometheus.ExemplarObserver); ok {
			e.ObserveWithExemplar(took.Seconds(), prometheus.Labels{exemplarKey: span.TraceID().String()})
			return
		}
	}
	to.Observe(took.Seconds())
}
