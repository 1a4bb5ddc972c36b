package core

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/services/smaran/backend"
	"github.com/smaran-v2/smaran/services/telemetry"
	"github.com/smaran-v2/smaran/services/wire"
)

const tracerName = "github.com/smaran-v2/smaran/services/smaran"

// startRoute begins the span of a decision; it is nil where nothing is traced.
func (t *trip) startRoute(ctx context.Context) (context.Context, trace.Span) {
	if t.service.tracer == nil {
		return ctx, nil
	}
	return t.service.tracer.Start(ctx, wire.SpanRoute, trace.WithAttributes(
		wire.AttributeBackend.String(string(t.name)), wire.AttributeAgain.Bool(t.problem != nil)))
}

// endRoute says what was decided. The pod is empty where the mesh chooses.
func endRoute(span trace.Span, target backend.Target, err error) {
	if span == nil {
		return
	}
	span.SetAttributes(wire.AttributePod.String(target.Pod), epoch(target.Epoch), wire.AttributeDegraded.Bool(target.Degraded))
	telemetry.End(span, err)
}

// annotate says on the request's own span who answered.
func (t *trip) annotate(ctx context.Context, served *jarvisv1.Served) {
	if t.service.tracer == nil {
		return
	}
	trace.SpanFromContext(ctx).SetAttributes(wire.AttributeBackend.String(string(t.name)), wire.AttributePod.String(served.GetPod()),
		epoch(served.GetEpoch()), wire.AttributeDegraded.Bool(t.target.Degraded))
}

func epoch(n uint64) attribute.KeyValue { return wire.AttributeEpoch.Int64(int64(n)) }
