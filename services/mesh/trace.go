package mesh

import (
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/wire"
)

// tracing makes the mesh's own span of a request.
type tracing struct {
	tracer     trace.Tracer
	propagator propagation.TextMapPropagator
	policy     string
}

func newTracing(provider trace.TracerProvider, propagator propagation.TextMapPropagator, policy Policy) *tracing {
	if propagator == nil {
		propagator = propagation.TraceContext{}
	}
	return &tracing{tracer: provider.Tracer("github.com/smaran-v2/smaran/services/mesh"), propagator: propagator, policy: string(policy)}
}

// start begins a span under that of the request and returns the headers that put the pod's spans under it.
func (t *tracing) start(r *http.Request) (trace.Span, []field) {
	ctx := t.propagator.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	ctx, span := t.tracer.Start(ctx, wire.SpanPick, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("http.request.method", r.Method),
		attribute.String("url.path", r.URL.Path),
		wire.AttributePolicy.String(t.policy),
	))
	if id, err := session.FromHeader(r.Header); err == nil {
		span.SetAttributes(session.SpanKey.String(string(id)))
	}
	carrier := http.Header{}
	t.propagator.Inject(ctx, propagation.HeaderCarrier(carrier))
	var set []field
	for name, values := range carrier {
		set = append(set, field{name, first(values)})
	}
	return span, set
}

func finishSpan(span trace.Span, status int, tries int, t *target) {
	span.SetAttributes(attribute.Int("http.response.status_code", status), wire.AttributeTries.Int(tries))
	if t != nil {
		span.SetAttributes(attribute.String("server.address", t.Address), wire.AttributePod.String(t.Pod))
	}
	if status == 0 || status >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, http.StatusText(status))
	}
	span.End()
}
