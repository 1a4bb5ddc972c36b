package mesh

import (
	"strconv"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/smaran-v2/smaran/services/endpoints"
)

// metrics are what the admin port shows. No label holds a session.
type metrics struct {
	picks     *prometheus.CounterVec
	requests  *prometheus.CounterVec
	failures  *prometheus.CounterVec
	sessions  *prometheus.CounterVec
	retries   prometheus.Counter
	reloads   *prometheus.CounterVec
	endpoints *prometheus.GaugeVec
	active    prometheus.Gauge

	// codes are the counters of requests, by status, so that a request finds its own without hashing labels.
	codes [600]atomic.Pointer[prometheus.Counter]
}

func newMetrics(r prometheus.Registerer) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		picks:    counter("mesh_picks_total", "Tries sent to a pod, retries included.", "policy", "pod"),
		requests: counter("mesh_requests_total", "Requests by the status of the response; 0 where the client left before one.", "code"),
		failures: counter("mesh_failures_total", "Responses the mesh made itself, or cut, by Envoy's response flag.", "flag"),
		sessions: counter("mesh_sessions_total", "Requests of stateful policies: kept, moved, or new without a token.", "result"),
		retries: prometheus.NewCounter(prometheus.CounterOpts{Name: "mesh_retries_total",
			Help: "Tries after the first of a request."}),
		reloads: counter("mesh_reloads_total", "Versions of the endpoints file taken or refused.", "result"),
		endpoints: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "mesh_endpoints",
			Help: "Endpoints in the file by health status."}, []string{"health"}),
		active: prometheus.NewGauge(prometheus.GaugeOpts{Name: "mesh_requests_active",
			Help: "Requests under way, WebSockets included."}),
	}
	r.MustRegister(m.picks, m.requests, m.failures, m.sessions, m.retries, m.reloads, m.endpoints, m.active)
	return m
}

// answered counts one request by its status.
func (m *metrics) answered(status int) {
	if status < 0 || status >= len(m.codes) {
		status = 0
	}
	c := m.codes[status].Load()
	if c == nil {
		made := m.requests.WithLabelValues(strconv.Itoa(status))
		c = &made
		m.codes[status].Store(c)
	}
	(*c).Inc()
}

// left drops the picks of pods that are not listed any more: in a fleet that rolls out, new names come for ever.
func (m *metrics) left(policy Policy, previous, next *snapshot) {
	if previous == nil {
		return
	}
	listed := map[string]bool{}
	for _, t := range next.targets {
		listed[podLabel(t.Endpoint)] = true
	}
	for _, t := range previous.targets {
		if pod := podLabel(t.Endpoint); !listed[pod] {
			m.picks.DeleteLabelValues(string(policy), pod)
		}
	}
}

func (m *metrics) loaded(set endpoints.Set) {
	m.endpoints.Reset()
	for _, e := range set.Endpoints {
		m.endpoints.WithLabelValues(e.Health.String()).Inc()
	}
}
