// Package live shows a run to Prometheus while it goes on: what callers see, as counters and histograms that dashboards can lay beside those
// of the services. The report does not come from here: it has each request and each gap, and these have neither.
package live

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/smaran-v2/smaran/loadtest/internal/tally"
	"github.com/smaran-v2/smaran/services/telemetry"
)

// Metrics is a tally.Observer. It is safe for concurrent use; nothing in it names a session.
type Metrics struct {
	requests    *prometheus.CounterVec
	duration    prometheus.Histogram
	calls       prometheus.Gauge
	disconnects *prometheus.CounterVec
	gaps        prometheus.Histogram
}

// Seconds: requests from a cached answer to one that waits, gaps from one late packet to a call that is lost.
var (
	requestBuckets = []float64{.001, .005, .01, .05, .09, .1, .11, .12, .15, .2, .3, .5, .75, .85, .9, 1, 1.5, 2.5, 5, 10}
	gapBuckets     = []float64{.021, .025, .03, .04, .06, .08, .1, .15, .2, .3, .5, 1, 2, 5, 10}
)

// New registers the metrics.
func New(registry prometheus.Registerer) *Metrics {
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "loadtest_requests_total",
			Help: "Inferences that callers asked for, by what they found: no state (cold), state (warm), the answer itself (cached), or no answer (failed).",
		}, []string{"state"}),
		duration: prometheus.NewHistogram(telemetry.Histogram(prometheus.HistogramOpts{
			Name: "loadtest_request_duration_seconds", Buckets: requestBuckets,
			Help: "Time from the moment an inference was due to its answer. Failed ones are left out.",
		})),
		calls: prometheus.NewGauge(prometheus.GaugeOpts{Name: "loadtest_calls", Help: "Calls that are up."}),
		disconnects: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "loadtest_disconnects_total",
			Help: "What callers lost or had to do, by class. docs/measurement.md says what each class is.",
		}, []string{"class"}),
		gaps: prometheus.NewHistogram(telemetry.Histogram(prometheus.HistogramOpts{
			Name: "loadtest_media_gap_seconds", Buckets: gapBuckets,
			Help: "The longest time between two packets of the agent, of each call and second.",
		})),
	}
	registry.MustRegister(m.requests, m.duration, m.calls, m.disconnects, m.gaps)
	// Shown as 0 from the start: a series that begins at 1 has no rate.
	for _, state := range tally.States {
		m.requests.WithLabelValues(state.String())
	}
	for _, class := range tally.Classes() {
		m.disconnects.WithLabelValues(string(class))
	}
	return m
}

// Inference implements tally.Observer.
func (m *Metrics) Inference(i tally.Inference) {
	m.requests.WithLabelValues(i.State.String()).Inc()
	if i.State != tally.Failed {
		m.duration.Observe(i.Latency().Seconds())
	}
}

// Occurrence implements tally.Observer.
func (m *Metrics) Occurrence(o tally.Occurrence) {
	m.disconnects.WithLabelValues(string(o.Class)).Inc()
}

// Up implements tally.Observer.
func (m *Metrics) Up(tally.Setup) { m.calls.Inc() }

// Moved implements tally.Observer: the call is up as before.
func (*Metrics) Moved(int, time.Duration, string) {}

// Down implements tally.Observer.
func (m *Metrics) Down(int, time.Duration) { m.calls.Dec() }

// Gap implements tally.Observer.
func (m *Metrics) Gap(g tally.Gap) { m.gaps.Observe(g.Duration.Seconds()) }
