package jarvis

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/services/jarvis/state"
	"github.com/smaran-v2/smaran/services/telemetry"
)

// metrics are a pod's own. None has a session in a label.
type metrics struct {
	inferences *prometheus.CounterVec
	duration   prometheus.Histogram
	fenced     prometheus.Counter
	dropped    *prometheus.CounterVec
	// connections are those of the API's server.
	connections prometheus.Gauge
}

// inferenceBuckets are in seconds, dense where warm (0.1) and cold (0.85 to 0.9) requests fall.
var inferenceBuckets = []float64{
	.001, .01, .05, .08, .09, .095, .1, .105, .11, .12, .15, .2, .3, .5, .75, .8, .84, .85, .86, .87, .88, .89, .9, .91, .95, 1, 1.5, 2.5, 5,
}

func newMetrics(registry prometheus.Registerer, sessions, calls func() int, drain func() *jarvisv1.Drain) *metrics {
	factory := promauto.With(registry)
	gauge := func(name, help string, value func() float64) {
		factory.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	gauge("jarvis_sessions", "Sessions whose state the pod keeps.", func() float64 { return float64(sessions()) })
	gauge("jarvis_calls", "Sessions that have a call at the pod.", func() float64 { return float64(calls()) })
	gauge("jarvis_draining", "1 while the pod drains, else 0.", func() float64 {
		if drain() != nil {
			return 1
		}
		return 0
	})
	gauge("jarvis_drain_sessions", "Sessions that are still the pod's while it drains; 0 while it does not.",
		func() float64 { return float64(drain().GetSessions()) })
	gauge("jarvis_drain_remaining_seconds", "How long the pod's calls may go on while it drains; 0 while it does not.",
		func() float64 { return drain().GetRemaining().AsDuration().Seconds() })
	m := &metrics{
		inferences: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "jarvis_inferences_total",
			Help: "Answers by what they found: no state (cold), state (warm), or the answer itself (cached).",
		}, []string{"state"}),
		duration: factory.NewHistogram(telemetry.Histogram(prometheus.HistogramOpts{
			Name:    "jarvis_inference_duration_seconds",
			Help:    "Time of an answer at the pod, loading included.",
			Buckets: inferenceBuckets,
		})),
		connections: factory.NewGauge(prometheus.GaugeOpts{
			Name: "jarvis_connections",
			Help: "Connections open to the pod's API, those of a mesh among them.",
		}),
		fenced: factory.NewCounter(prometheus.CounterOpts{
			Name: "jarvis_fences_refused_total",
			Help: "Requests refused because their epoch was older than the pod's.",
		}),
		dropped: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "jarvis_sessions_dropped_total",
			Help: "Copies of a session's state dropped: the least recently used (lru), unused for long (idle), stale, behind their caller (turns), or owned by another pod under a higher title (passed_over).",
		}, []string{"reason"}),
	}
	// Shown as 0 from the start: a series that begins at 1 has no rate.
	for _, found := range []jarvisv1.CacheState{jarvisv1.CacheState_CACHE_STATE_COLD, jarvisv1.CacheState_CACHE_STATE_WARM,
		jarvisv1.CacheState_CACHE_STATE_CACHED} {
		m.inferences.WithLabelValues(cacheStateName(found))
	}
	for _, why := range []state.Dropped{state.DroppedLRU, state.DroppedIdle, state.DroppedStale, state.DroppedTurns, state.DroppedPassedOver} {
		m.dropped.WithLabelValues(string(why))
	}
	return m
}

func (m *metrics) inferred(ctx context.Context, found string, took time.Duration) {
	m.inferences.WithLabelValues(found).Inc()
	telemetry.Observe(ctx, m.duration, took)
}

// connected is a server's ConnState.
func (m *metrics) connected(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		m.connections.Inc()
	case http.StateClosed, http.StateHijacked:
		m.connections.Dec()
	}
}
