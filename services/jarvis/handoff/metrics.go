package handoff

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// result is a label of jarvis_handoffs_total.
type result string

const (
	// sent and received are copies that went to the next owner before it needed them, failed those that did not arrive.
	sent     result = "sent"
	received result = "received"
	failed   result = "failed"
	// pulled is a copy that was asked for at a miss.
	pulled result = "pulled"
	// claimed and given are changes of owner, at either side.
	claimed result = "claimed"
	given   result = "given"
	// restored is a session that came from the archive, as its owner could not be found.
	restored result = "restored"
	// minted is a session that the pod took without its owner's word, since it could not be found.
	minted result = "minted"
)

// Metrics count what a Handoff does. No session stands in a label.
type Metrics struct {
	handoffs *prometheus.CounterVec
	forwards prometheus.Counter
}

// NewMetrics registers them.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	factory := promauto.With(registry)
	m := &Metrics{
		handoffs: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "jarvis_handoffs_total",
			Help: "Sessions handed over: copies sent, received, failed or pulled at a miss; sessions claimed, given, restored from the archive, or minted because their owner was not found.",
		}, []string{"result"}),
		forwards: factory.NewCounter(prometheus.CounterOpts{
			Name: "jarvis_forwards_total",
			Help: "Requests passed on to the session's owner.",
		}),
	}
	for _, r := range []result{sent, received, failed, pulled, claimed, given, restored, minted} {
		m.handoffs.WithLabelValues(string(r)) // shown as 0 from the start: a series that begins at 1 has no rate
	}
	return m
}

func (m *Metrics) handoff(r result) { m.handoffs.WithLabelValues(string(r)).Inc() }

// Forwarded counts a request that was passed on.
func (m *Metrics) Forwarded() { m.forwards.Inc() }
