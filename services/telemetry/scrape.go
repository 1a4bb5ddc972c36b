package telemetry

import (
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Scrape serves a registry to Prometheus: in OpenMetrics, which has exemplars, or as protobuf, which has native histograms too, to whoever
// asks for it, else as text.
func Scrape(registry *prometheus.Registry, log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		Registry:          registry,
		EnableOpenMetrics: true,
	})
}
