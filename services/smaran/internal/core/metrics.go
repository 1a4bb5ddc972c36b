package core

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/smaran-v2/smaran/services/smaran/backend"
)

type metrics struct {
	route    *prometheus.HistogramVec
	degraded *prometheus.CounterVec
	retries  *prometheus.CounterVec
	strays   *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		route: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "smaran_route_duration_seconds",
			Help: "Time a backend took to choose a target.",
			// 1 us to 250 ms: from a hash to a Redis that times out.
			Buckets: prometheus.ExponentialBucketsRange(1e-6, 0.25, 20),
		}, []string{"backend"}),
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
	}
	r.MustRegister(m.route, m.degraded, m.retries, m.strays)
	return m
}

func (m *metrics) routed(name backend.Name, took time.Duration, degraded bool) {
	m.route.WithLabelValues(string(name)).Observe(took.Seconds())
	if degraded {
		m.degraded.WithLabelValues(string(name)).Inc()
	}
}

func (m *metrics) retried(name backend.Name) { m.retries.WithLabelValues(string(name)).Inc() }

func (m *metrics) misaddressed(name backend.Name) { m.strays.WithLabelValues(string(name)).Inc() }
