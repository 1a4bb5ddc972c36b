package core

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/smaran-v2/smaran/services/endpoints"
)

var (
	sessionsDesc  = prometheus.NewDesc("smaran_sessions", "Sessions that were answered in the last ten minutes and not hung up.", nil, nil)
	ownerlessDesc = prometheus.NewDesc("smaran_sessions_without_owner", "Those of smaran_sessions whose pod is not among the endpoints any more.", nil, nil)
	endpointsDesc = prometheus.NewDesc("smaran_endpoints", "Pods among the endpoints by health, as Envoy names it.", []string{"health"}, nil)
)

// population shows, at each scrape, who is there.
type population struct{ service *Service }

// Describe implements prometheus.Collector.
func (population) Describe(to chan<- *prometheus.Desc) {
	to <- sessionsDesc
	to <- ownerlessDesc
	to <- endpointsDesc
}

// Collect implements prometheus.Collector.
func (p population) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, n int, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n), labels...)
	}
	set := p.service.options.Endpoints.Current()
	sessions, ownerless := p.service.visits.count(set)
	gauge(sessionsDesc, sessions)
	gauge(ownerlessDesc, ownerless)
	by := map[endpoints.Health]int{endpoints.Healthy: 0, endpoints.Draining: 0}
	for _, e := range set.Endpoints {
		by[e.Health]++
	}
	for health, n := range by {
		gauge(endpointsDesc, n, health.String())
	}
}
