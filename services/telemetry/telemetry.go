// Package telemetry sets up logs, metrics and traces alike in every program. Metrics are always collected, for Prometheus to fetch from
// the admin port. Traces, and metrics besides, leave the process only where OTEL_* variables ask for it, over whatever exporter they name.
//
// It says how to count and trace, not what: the names are those of the packages that use it, and docs/telemetry.md lists them. Nothing
// here slows or fails a request when no collector answers, and where nothing is exported a request pays for no span.
package telemetry

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"
)

// Options of a program's telemetry.
type Options struct {
	// Service is smaran, jarvis, mesh, fleet or loadtest; Instance tells pods apart, and may be empty.
	Service, Instance string
	// Level is debug, info, warn or error; Format is text or json.
	Level, Format string
	Out           io.Writer
	// Environ is where OTEL_* variables are looked for, to decide what is exported.
	Environ []string
}

// Telemetry is what a program logs, counts and traces with.
type Telemetry struct {
	Log        *slog.Logger
	Registry   *prometheus.Registry
	Tracer     trace.TracerProvider
	Propagator propagation.TextMapPropagator

	shutdowns []func(context.Context) error
}

// ErrOptions is matched by Setup's errors about Level and Format.
var ErrOptions = errors.New("invalid telemetry option")

// Setup prepares all of it. An exporter that OTEL_* asks for but that can't be built is an error; one whose collector can't be
// reached is not.
func Setup(ctx context.Context, o Options) (*Telemetry, error) {
	log, err := Logger(o)
	if err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), buildInfo(o.Service))
	t := &Telemetry{Log: log, Registry: registry, Propagator: propagator}
	if err := t.export(ctx, o); err != nil {
		t.Shutdown(ctx)
		return nil, err
	}
	return t, nil
}

// flushTimeout bounds the last export, so that an unreachable collector delays an exit by no more than this.
const flushTimeout = time.Second

// Shutdown sends what is left. Call it last; it never takes longer than a second.
func (t *Telemetry) Shutdown(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	var last errgroup.Group
	for _, shutdown := range t.shutdowns {
		last.Go(func() error { return shutdown(ctx) })
	}
	if err := last.Wait(); err != nil {
		t.Log.Debug("telemetry not flushed", "error", err)
	}
}
