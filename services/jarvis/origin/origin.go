// Package origin keeps which trace each session's call is in, so that what a pod does for the session by itself (copies sent ahead, the
// word to move, answers to what the caller says) stands in the trace that the caller began, beside the requests.
//
// It keeps no spans and decides nothing: where nothing is traced there is no Traces, and all of this does nothing.
package origin

import (
	"context"
	"fmt"

	lru "github.com/hashicorp/golang-lru/v2"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/telemetry"
)

// maxSessions bounds what is kept; beyond, the session that was heard of the longest ago is forgotten.
const maxSessions = 1 << 16

// Traces is safe for concurrent use. A nil one does nothing.
type Traces struct {
	tracer trace.Tracer
	of     *lru.Cache[session.ID, trace.SpanContext]
}

// New is nil where the provider makes no spans.
func New(provider trace.TracerProvider, name string) (*Traces, error) {
	if telemetry.Off(provider) {
		return nil, nil
	}
	of, err := lru.New[session.ID, trace.SpanContext](maxSessions)
	if err != nil {
		return nil, fmt.Errorf("record of traces: %w", err)
	}
	return &Traces{tracer: provider.Tracer(name), of: of}, nil
}

// Began says that the session's call, or its copy here, comes from the context's span.
func (t *Traces) Began(ctx context.Context, id session.ID) {
	if span := trace.SpanContextFromContext(ctx); t != nil && id != "" && span.IsValid() {
		t.of.Add(id, span)
	}
}

// Asked is Began for a session of which nothing is known yet.
func (t *Traces) Asked(ctx context.Context, id session.ID) {
	if t != nil && !t.of.Contains(id) {
		t.Began(ctx, id)
	}
}

// Start begins a span of the session. It is below the context's where that is in the session's trace already; else it is in the session's
// trace and linked to the context's span, which is its cause. Of a session without a trace it is below the context's.
func (t *Traces) Start(ctx context.Context, id session.ID, name string, attributes ...attribute.KeyValue) (context.Context, trace.Span) {
	if t == nil {
		return ctx, noop.Span{}
	}
	options := []trace.SpanStartOption{trace.WithAttributes(append(attributes, session.SpanKey.String(string(id)))...)}
	cause := trace.SpanContextFromContext(ctx)
	if of, ok := t.of.Get(id); ok && of.TraceID() != cause.TraceID() {
		if cause.IsValid() {
			options = append(options, trace.WithLinks(trace.Link{SpanContext: cause}))
		}
		ctx = trace.ContextWithRemoteSpanContext(ctx, of)
	}
	return t.tracer.Start(ctx, name, options...)
}

// Cause begins a span that is no session's: what is done for many of them is linked to it.
func (t *Traces) Cause(ctx context.Context, name string) (context.Context, trace.Span) {
	if t == nil {
		return ctx, noop.Span{}
	}
	return t.tracer.Start(ctx, name, trace.WithNewRoot())
}
