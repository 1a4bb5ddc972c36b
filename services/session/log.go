package session

import (
	"context"
	"log/slog"
)

// LogKey is the attribute under which a log record names its session.
const LogKey = "session"

// LogHandler adds the context's session to every record.
func LogHandler(next slog.Handler) slog.Handler { return &logHandler{Handler: next} }

type logHandler struct{ slog.Handler }

func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	if id, ok := FromContext(ctx); ok && !named(r) {
		r = r.Clone()
		r.AddAttrs(slog.String(LogKey, string(id)))
	}
	return h.Handler.Handle(ctx, r)
}

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &logHandler{Handler: h.Handler.WithAttrs(attrs)}
}

func (h *logHandler) WithGroup(name string) slog.Handler {
	return &logHandler{Handler: h.Handler.WithGroup(name)}
}

// named is whether a record names its session itself.
func named(r slog.Record) (yes bool) {
	r.Attrs(func(a slog.Attr) bool {
		yes = yes || a.Key == LogKey
		return !yes
	})
	return yes
}
