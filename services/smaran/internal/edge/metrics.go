package edge

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/smaran-v2/smaran/services/telemetry"
	"github.com/smaran-v2/smaran/services/wire"
)

// metrics count requests of both edges. operation is a route such as "POST /v1/calls", or an RPC's procedure; code is the HTTP status
// or the RPC's code.
type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "smaran_requests_total",
			Help: "Requests by operation, backend and outcome.",
		}, []string{"operation", "backend", "code"}),
		duration: prometheus.NewHistogramVec(telemetry.Histogram(prometheus.HistogramOpts{
			Name: "smaran_request_duration_seconds",
			Help: "Time to answer a request, the pod's included. Event streams are left out.",
			// 0.5 ms to 8 s: from a cached answer to a cold one that waits.
			Buckets: prometheus.ExponentialBucketsRange(0.0005, 8, 24),
		}), []string{"operation", "backend"}),
	}
	r.MustRegister(m.requests, m.duration)
	return m
}

func (m *metrics) count(operation, backend, code string) {
	m.requests.WithLabelValues(operation, backend, code).Inc()
}

func (m *metrics) observe(ctx context.Context, operation, backend string, took time.Duration) {
	telemetry.Observe(ctx, m.duration.WithLabelValues(operation, backend), took)
}

// unrouted is the operation of a request that matched no route.
const unrouted = "none"

// measured counts plain HTTP requests; an interceptor counts the others.
func (h *handler) measured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := h.options.Clock.Now()
		recorder := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		next.ServeHTTP(recorder, r)

		pattern := chi.RouteContext(r.Context()).RoutePattern()
		status := recorder.Status()
		operation := r.Method + " " + pattern
		switch {
		case status == http.StatusNotFound || status == http.StatusMethodNotAllowed:
			operation = unrouted // also of an unknown method, which must not become a label
		case isRPC(pattern):
			return
		}
		backend := recorder.Header().Get(wire.HeaderBackend)
		h.metrics.count(operation, backend, strconv.Itoa(status))
		if recorder.Header().Get("Content-Type") != wire.ContentTypeEventStream {
			h.metrics.observe(r.Context(), operation, backend, h.options.Clock.Since(start))
		}
	})
}
