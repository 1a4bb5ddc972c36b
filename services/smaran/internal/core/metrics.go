package core

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/smaran-v2/smaran/services/smaran/backend"
	"github.com/smaran-v2/smaran/services/telemetry"
)

type metrics struct {
	route    *prometheus.HistogramVec
	degraded *prometheus.CounterVec
	retries  *prometheus.CounterVec
	strays   *prometheus.CounterVec
	sessions *prometheus.CounterVec
	expected *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		route: prometheus.NewHistogramVec(telemetry.Histogram(prometheus.HistogramOpts{
			Name: "smaran_route_duration_seconds",
			Help: "Time a backend took to choose a target.",
			// 1 us to 250 ms: from a hash to a Redis that times out.
			Buckets: prometheus.ExponentialBucketsRange(1e-6, 0.25, 20),
		}), []string{"backend"}),
		degraded: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "smaran_degraded_total",
			Help: "Decisions of a backend that could not keep its promise and fell back.",
		}, []string{"backend"}),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "smaran_retries_total",
			Help: "Requests that were routed again because of what the first pod said.",
		}, []string{"backend"}),
		strays: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "smaran_misaddressed_total",
			Help: "Requests addressed to one pod that another one answered.",
		}, []string{"backend"}),
		sessions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "smaran_session_requests_total",
			Help: "Answers by whether the session's last one came from the same pod (kept), from another (moved), or was not seen here (first).",
		}, []string{"backend", "result"}),
		expected: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "smaran_expected_moves_total",
			Help: "Answers to sessions that the endpoints gave to another pod since the answer before: by the backend's rule, or, without one, since that pod is gone.",
		}, []string{"backend"}),
	}
	r.MustRegister(m.route, m.degraded, m.retries, m.strays, m.sessions, m.expected)
	return m
}

func (m *metrics) routed(ctx context.Context, name backend.Name, took time.Duration, degraded bool) {
	telemetry.Observe(ctx, m.route.WithLabelValues(string(name)), took)
	if degraded {
		m.degraded.WithLabelValues(string(name)).Inc()
	}
}

func (m *metrics) retried(name backend.Name) { m.retries.WithLabelValues(string(name)).Inc() }

func (m *metrics) misaddressed(name backend.Name) { m.strays.WithLabelValues(string(name)).Inc() }

func (m *metrics) session(name backend.Name, r result, expected bool) {
	m.sessions.WithLabelValues(string(name), string(r)).Inc()
	if expected {
		m.expected.WithLabelValues(string(name)).Inc()
	}
}

// show has the series of the backend in use be there from the start, as 0: one that begins at 1 has no rate.
func (m *metrics) show(name backend.Name) {
	for _, of := range []*prometheus.CounterVec{m.degraded, m.retries, m.strays, m.expected} {
		of.WithLabelValues(string(name))
	}
	for _, r := range []result{first, kept, moved} {
		m.sessions.WithLabelValues(string(name), string(r))
	}
}
