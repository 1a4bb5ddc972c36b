package telemetry

import (
	"context"
	"fmt"
	"net/http"

	"connectrpc.com/connect"
	"connectrpc.com/otelconnect"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// propagator carries W3C's trace context and baggage.
var propagator = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})

// Off is whether a provider makes no spans. Whoever asks first saves what it would have put into them.
func Off(provider trace.TracerProvider) bool {
	_, off := provider.(noop.TracerProvider)
	return provider == nil || off
}

// Handler gives every request a span of the name that name says, under the caller's. Without traces it only takes the caller's trace
// context and baggage along.
func Handler(next http.Handler, provider trace.TracerProvider, carrier propagation.TextMapPropagator, name func(*http.Request) string) http.Handler {
	if Off(provider) {
		along := newPassing(carrier)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if ctx := along.received(r.Context(), r.Header); ctx != r.Context() {
				r = r.WithContext(ctx)
			}
			next.ServeHTTP(w, r)
		})
	}
	return otelhttp.NewHandler(next, "", otelhttp.WithTracerProvider(provider), otelhttp.WithPropagators(carrier),
		otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string { return name(r) }))
}

// Transport gives every request a span of the name that name says, under the context's, and sends it along. Without traces it only sends
// what the context has.
func Transport(next http.RoundTripper, provider trace.TracerProvider, carrier propagation.TextMapPropagator, name func(*http.Request) string) http.RoundTripper {
	if Off(provider) {
		return next
	}
	return otelhttp.NewTransport(next, otelhttp.WithTracerProvider(provider), otelhttp.WithPropagators(carrier),
		otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string { return name(r) }))
}

// Interceptor does for Connect, at both ends, what Handler does for HTTP. A server's span is under the caller's.
func Interceptor(provider trace.TracerProvider, carrier propagation.TextMapPropagator) (connect.Interceptor, error) {
	if Off(provider) {
		return newPassing(carrier), nil
	}
	traced, err := otelconnect.NewInterceptor(otelconnect.WithTracerProvider(provider), otelconnect.WithPropagator(carrier),
		otelconnect.WithTrustRemote(), otelconnect.WithoutMetrics(), otelconnect.WithoutTraceEvents(), otelconnect.WithoutServerPeerAttributes())
	if err != nil {
		return nil, fmt.Errorf("trace RPCs: %w", err)
	}
	return traced, nil
}

// passing takes trace context and baggage from a request to those that follow from it, and makes no span.
type passing struct {
	carrier propagation.TextMapPropagator
	// fields are the carrier's headers, in canonical form.
	fields []string
}

func newPassing(carrier propagation.TextMapPropagator) passing {
	along := passing{carrier: carrier}
	for _, field := range carrier.Fields() {
		along.fields = append(along.fields, http.CanonicalHeaderKey(field))
	}
	return along
}

// WrapUnary implements connect.Interceptor.
func (p passing) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		if req.Spec().IsClient {
			p.carrier.Inject(ctx, propagation.HeaderCarrier(req.Header()))
			return next(ctx, req)
		}
		return next(p.received(ctx, req.Header()), req)
	}
}

// WrapStreamingClient implements connect.Interceptor.
func (p passing) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		conn := next(ctx, spec)
		p.carrier.Inject(ctx, propagation.HeaderCarrier(conn.RequestHeader()))
		return conn
	}
}

// WrapStreamingHandler implements connect.Interceptor.
func (p passing) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		return next(p.received(ctx, conn.RequestHeader()), conn)
	}
}

// received is ctx with what the headers carry, and ctx itself where they carry nothing, which costs nothing then.
func (p passing) received(ctx context.Context, h http.Header) context.Context {
	for _, field := range p.fields {
		if len(h[field]) > 0 {
			return p.carrier.Extract(ctx, propagation.HeaderCarrier(h))
		}
	}
	return ctx
}
