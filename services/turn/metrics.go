package turn

import (
	"net"

	"github.com/prometheus/client_golang/prometheus"
)

// reason is why something was refused.
type reason string

const (
	// malformed: the user's name is not of the scheme. expired: it was good once. forged: the password is not that of the name.
	malformed reason = "malformed"
	expired   reason = "expired"
	forged    reason = "forged"
	// peer: media was to go to somebody who is no pod.
	peer reason = "peer"
	// user and total: a bound on allocations. connections: that on TCP connections. ports: none is free. draining: the relay ends.
	user        reason = "user"
	total       reason = "total"
	connections reason = "connections"
	ports       reason = "ports"
	draining    reason = "draining"
	// transport: media was to go on by TCP.
	transport reason = "transport"
)

var reasons = []reason{malformed, expired, forged, peer, user, total, connections, ports, draining, transport}

// metrics are what the admin port shows. Nothing is told of users.
type metrics struct {
	allocations *prometheus.GaugeVec
	refused     *prometheus.CounterVec
	toPeer      prometheus.Counter
	fromPeer    prometheus.Counter
	dropped     prometheus.Counter
}

func newMetrics(r prometheus.Registerer) *metrics {
	bytes := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "turn_relayed_bytes_total",
		Help: "Payload relayed, by direction as callers see it."}, []string{"direction"})
	m := &metrics{
		allocations: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "turn_allocations",
			Help: "Relayed addresses that callers hold, by the transport between caller and relay."}, []string{"transport"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "turn_refused_total",
			Help: "Requests and connections refused, by reason."}, []string{"reason"}),
		toPeer: bytes.WithLabelValues("sent"), fromPeer: bytes.WithLabelValues("received"),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{Name: "turn_dropped_packets_total",
			Help: "Packets over an allocation's bandwidth."}),
	}
	for _, t := range []string{"udp", "tcp"} {
		m.allocations.WithLabelValues(t)
	}
	for _, why := range reasons {
		m.refused.WithLabelValues(string(why))
	}
	r.MustRegister(m.allocations, m.refused, bytes, m.dropped)
	return m
}

func (m *metrics) refuse(why reason) { m.refused.WithLabelValues(string(why)).Inc() }

// of is the gauge of allocations that were made over the transport of a caller's address.
func (m *metrics) of(caller net.Addr) prometheus.Gauge {
	return m.allocations.WithLabelValues(caller.Network())
}
