package live

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/smaran-v2/smaran/services/telemetry"
	"github.com/smaran-v2/smaran/services/wire"
)

// headerTime bounds how long a client may take to say what it wants.
const headerTime = 5 * time.Second

// Serve shows the registry at address, "ip:port", until stop is called. It fails where it can't listen there.
func Serve(ctx context.Context, address string, registry *prometheus.Registry, log *slog.Logger) (stop func(), err error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("show metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET "+wire.PathMetrics, telemetry.Scrape(registry, log))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: headerTime}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("metrics are shown no more", "error", err)
		}
	}()
	return func() {
		_ = server.Close() // what is being read is of a run that is over
		<-done
	}, nil
}
