// Package telemetry sets up logs, metrics and traces alike in every service. Metrics are always collected and served by the
// admin port; traces leave the process only where OTEL_* variables ask for it, over whatever exporter they name. Nothing here
// slows or fails a request when no collector answers.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/smaran-v2/smaran/services/session"
)

// Options of a service's telemetry.
type Options struct {
	// Service is smaran, jarvis, mesh or fleet; Instance tells pods apart, and may be empty.
	Service, Instance string
	// Level is debug, info, warn or error; Format is text or json.
	Level, Format string
	Out           io.Writer
	// Environ is where OTEL_* variables are looked for, to decide whether traces are exported.
	Environ []string
}

// Telemetry is what a service logs, counts and traces with.
type Telemetry struct {
	Log        *slog.Logger
	Registry   *prometheus.Registry
	Tracer     trace.TracerProvider
	Propagator propagation.TextMapPropagator

	shutdown func(context.Context) error
}

// ErrOptions is matched by Setup's errors about Level and Format.
var ErrOptions = errors.New("invalid telemetry option")

// Setup prepares all three. An exporter that OTEL_* asks for but that can't be built is an error; one whose collector can't be
// reached is not.
func Setup(ctx context.Context, o Options) (*Telemetry, error) {
	handler, err := handler(o)
	if err != nil {
		return nil, err
	}
	log := slog.New(session.LogHandler(traceHandler{handler})).With("service", o.Service)
	if o.Instance != "" {
		log = log.With("instance", o.Instance)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), buildInfo(o.Service))
	provider, shutdown, err := tracing(ctx, o, log)
	if err != nil {
		return nil, err
	}
	return &Telemetry{
		Log:        log,
		Registry:   registry,
		Tracer:     provider,
		Propagator: propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}),
		shutdown:   shutdown,
	}, nil
}

// flushTimeout bounds the last export, so that an unreachable collector delays an exit by no more than this.
const flushTimeout = time.Second

// Shutdown sends what is left. Call it last; it never takes longer than a second.
func (t *Telemetry) Shutdown(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	if err := t.shutdown(ctx); err != nil {
		t.Log.Debug("traces not flushed", "error", err)
	}
}

func handler(o Options) (slog.Handler, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.Level)); err != nil {
		return nil, fmt.Errorf("%w: log level %q: expected debug, info, warn or error", ErrOptions, o.Level)
	}
	options := &slog.HandlerOptions{Level: level}
	switch o.Format {
	case "text":
		return slog.NewTextHandler(o.Out, options), nil
	case "json":
		return slog.NewJSONHandler(o.Out, options), nil
	}
	return nil, fmt.Errorf("%w: log format %q: expected text or json", ErrOptions, o.Format)
}

// traceHandler adds the ids of the context's span to every record, so that logs and traces find each other.
type traceHandler struct{ slog.Handler }

func (h traceHandler) Handle(ctx context.Context, r slog.Record) error {
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		r = r.Clone()
		r.AddAttrs(slog.String("trace_id", span.TraceID().String()), slog.String("span_id", span.SpanID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

func (h traceHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return traceHandler{h.Handler.WithAttrs(attrs)}
}

func (h traceHandler) WithGroup(name string) slog.Handler {
	return traceHandler{h.Handler.WithGroup(name)}
}

// asked reports whether a variable of the OpenTelemetry specification asks for traces to be exported.
func asked(environ []string) bool {
	exporter, endpoint := "", false
	for _, entry := range environ {
		key, value, _ := strings.Cut(entry, "=")
		switch {
		case key == "OTEL_SDK_DISABLED" && strings.EqualFold(value, "true"):
			return false
		case key == "OTEL_TRACES_EXPORTER":
			exporter = value
		case key == "OTEL_EXPORTER_OTLP_ENDPOINT" || key == "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT":
			endpoint = endpoint || value != ""
		}
	}
	return exporter != "none" && (exporter != "" || endpoint)
}
