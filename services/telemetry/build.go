package telemetry

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/smaran-v2/smaran/services/version"
	"github.com/smaran-v2/smaran/services/wire"
)

// buildInfo is a gauge that is always 1, and says by its labels what runs.
func buildInfo(service string) prometheus.Collector {
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: wire.MetricBuildInfo, Help: "Always 1: which service this is, of which revision of the repository, built by which Go.",
		ConstLabels: prometheus.Labels{
			wire.LabelService: service, wire.LabelRevision: version.String(), wire.LabelGoVersion: runtime.Version(),
		},
	})
	g.Set(1)
	return g
}
