// Package admin is the port for operators: liveness, readiness, metrics and profiles. It is never routed to clients.
package admin

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/pprof"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/smaran-v2/smaran/services/telemetry"
	"github.com/smaran-v2/smaran/services/wire"
)

// Options of the admin handler.
type Options struct {
	Registry *prometheus.Registry
	// Ready says why the service should get no traffic; nil means that it should. It must be quick, and look at nothing
	// outside the process: a dependency's outage makes no pod unready.
	Ready func() error
	// Draining, where set, is whether a ready service takes nothing new: /readyz still answers 200, with
	// wire.HeaderEnvoyDegraded.
	Draining func() bool
	Log      *slog.Logger
}

// New serves /healthz, /readyz, /metrics and /debug/pprof/.
func New(o Options) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET "+wire.PathReady, func(w http.ResponseWriter, _ *http.Request) {
		if err := o.Ready(); err != nil {
			http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
		if o.Draining != nil && o.Draining() {
			w.Header().Set(wire.HeaderEnvoyDegraded, "true")
		}
		fmt.Fprintln(w, "ok")
	})
	mux.Handle("GET "+wire.PathMetrics, telemetry.Scrape(o.Registry, o.Log))
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}
