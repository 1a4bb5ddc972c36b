// Package httpserver runs an HTTP server until its context ends, then lets requests in flight finish. Routing, limits and
// time-outs of single requests belong to the handlers.
package httpserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Options of one server.
type Options struct {
	// Name stands in logs and errors.
	Name     string
	Listener net.Listener
	Handler  http.Handler
	// ShutdownGrace is how long requests in flight may take once the context has ended; then they are cut. Zero cuts at once.
	ShutdownGrace time.Duration
	// ConnState is told of connections that come and go, as http.Server's; it may be nil.
	ConnState func(net.Conn, http.ConnState)
}

// A client that dribbles its header holds a connection no longer than this.
const readHeaderTimeout = 10 * time.Second

// Listen opens addr for a server, so that a taken port is an error before anything else starts.
func Listen(ctx context.Context, addr string) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: %w", addr, err)
	}
	return l, nil
}

// Serve answers HTTP/1.1 and HTTP/2 without TLS (h2c by prior knowledge) until ctx ends and the grace is over. It returns nil
// after a shutdown, also one that had to cut requests, which is logged.
//
// Requests' contexts do not end with ctx: they are cut when the grace is over. A handler that streams watches Stopping.
func Serve(ctx context.Context, log *slog.Logger, o Options) error {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)

	base, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	server := &http.Server{
		Handler:           o.Handler,
		Protocols:         &protocols,
		ConnState:         o.ConnState,
		ReadHeaderTimeout: readHeaderTimeout,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context {
			return context.WithValue(base, stoppingKey{}, ctx.Done())
		},
	}

	served := make(chan error, 1)
	go func() { served <- server.Serve(o.Listener) }()

	select {
	case err := <-served:
		return fmt.Errorf("serve %s: %w", o.Name, err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(base, o.ShutdownGrace)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		log.Warn("requests cut at shutdown", "server", o.Name, "grace", o.ShutdownGrace)
		cut()
		if err := server.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("close %s: %w", o.Name, err)
		}
	}
	<-served
	return nil
}

type stoppingKey struct{}

// Stopping is closed when the server that handles ctx's request has been asked to stop. A stream that would outlast the grace
// ends then. Outside of Serve it is nil, and so blocks for ever.
func Stopping(ctx context.Context) <-chan struct{} {
	done, _ := ctx.Value(stoppingKey{}).(<-chan struct{})
	return done
}

// UntilStopping ends with ctx, or when Stopping is closed. The caller has to cancel it.
func UntilStopping(ctx context.Context) (context.Context, context.CancelFunc) {
	stopping := Stopping(ctx)
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}
