package backend

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sony/gobreaker/v2"
)

// Metrics counts what backends do. Nothing here carries a session id.
type Metrics struct {
	tokens    *prometheus.CounterVec
	decisions *prometheus.CounterVec
	reconcile *prometheus.CounterVec
	circuit   prometheus.Gauge
}

// NewMetrics registers the backends' metrics.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		tokens: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "smaran_tokens_refused_total",
			Help: "Session tokens of clients that were ignored, by reason.",
		}, []string{"reason"}),
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "smaran_redis_decisions_total",
			Help: "Decisions of the redis backend by where they came from: redis, cache, stale (cache during an outage), fallback (rendezvous).",
		}, []string{"source"}),
		reconcile: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "smaran_redis_reconciled_total",
			Help: "Sessions placed without Redis and claimed after it came back, by result: kept or moved.",
		}, []string{"result"}),
		circuit: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "smaran_redis_circuit_state",
			Help: "Circuit to Redis: 0 closed, 1 half open, 2 open.",
		}),
	}
	r.MustRegister(m.tokens, m.decisions, m.reconcile, m.circuit)
	return m
}

// showRedis has the series of the backend redis be there from the start, as 0: one that begins at 1 has no rate.
func (m *Metrics) showRedis() {
	for _, source := range []string{sourceRedis, sourceCache, sourceStale, sourceFallback} {
		m.decisions.WithLabelValues(source)
	}
	for _, result := range []string{reconciledKept, reconciledMoved} {
		m.reconcile.WithLabelValues(result)
	}
}

func (m *Metrics) tokenRefused(err error)             { m.tokens.WithLabelValues(reason(err)).Inc() }
func (m *Metrics) decided(source string)              { m.decisions.WithLabelValues(source).Inc() }
func (m *Metrics) reconciled(result string)           { m.reconcile.WithLabelValues(result).Inc() }
func (m *Metrics) circuitState(state gobreaker.State) { m.circuit.Set(float64(state)) }
