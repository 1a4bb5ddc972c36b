package telemetry

import (
	"context"
	"fmt"
	"log/slog"

	"go.opentelemetry.io/otel/trace"

	"github.com/smaran-v2/smaran/services/session"
)

// Logger is the log alone, for a program that emits nothing else. It fails with ErrOptions.
func Logger(o Options) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.Level)); err != nil {
		return nil, fmt.Errorf("%w: log level %q: expected debug, info, warn or error", ErrOptions, o.Level)
	}
	var handler slog.Handler
	switch options := (&slog.HandlerOptions{Level: level}); o.Format {
	case "text":
		handler = slog.NewTextHandler(o.Out, options)
	case "json":
		handler = slog.NewJSONHandler(o.Out, options)
	default:
		return nil, fmt.Errorf("%w: log format %q: expected text or json", ErrOptions, o.Format)
	}
	log := slog.New(session.LogHandler(traceHandler{handler})).With("service", o.Service)
	if o.Instance != "" {
		log = log.With("instance", o.Instance)
	}
	return log, nil
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
