package telemetry_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/baggage"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/smaran-v2/smaran/services/telemetry"
)

const (
	callersTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	traceparent  = "00-" + callersTrace + "-00f067aa0ba902b7-01"
)

// chain is a server that calls another, as smaran calls a pod: over HTTP or Connect, with or without spans of its own. What the second one
// got is returned.
func chain(t *testing.T, provider trace.TracerProvider, rpc bool) (got http.Header) {
	t.Helper()
	tel := setup(t, io.Discard)
	last := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Clone()
		w.Header().Set("Content-Type", "application/proto")
	}))
	defer last.Close()
	interceptor, err := telemetry.Interceptor(provider, tel.Propagator)
	require.NoError(t, err)
	next := connect.NewClient[emptypb.Empty, emptypb.Empty](last.Client(), last.URL+"/pod.v1.Pod/Ask", connect.WithInterceptors(interceptor))
	ask := func(ctx context.Context) {
		_, err := next.CallUnary(ctx, connect.NewRequest(new(emptypb.Empty)))
		require.NoError(t, err)
	}
	mux := http.NewServeMux()
	mux.Handle("/plain", telemetry.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { ask(r.Context()) }),
		provider, tel.Propagator, func(r *http.Request) string { return r.Method + " /plain" }))
	mux.Handle("/first.v1.First/Ask", connect.NewUnaryHandler("/first.v1.First/Ask",
		func(ctx context.Context, _ *connect.Request[emptypb.Empty]) (*connect.Response[emptypb.Empty], error) {
			ask(ctx)
			return connect.NewResponse(new(emptypb.Empty)), nil
		}, connect.WithInterceptors(interceptor)))
	first := httptest.NewServer(mux)
	defer first.Close()

	h := http.Header{"Traceparent": {traceparent}, "Baggage": {"room=42"}}
	if rpc {
		req := connect.NewRequest(new(emptypb.Empty))
		for key, values := range h {
			req.Header()[key] = values
		}
		_, err := connect.NewClient[emptypb.Empty, emptypb.Empty](first.Client(), first.URL+"/first.v1.First/Ask").CallUnary(t.Context(), req)
		require.NoError(t, err)
		return got
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, first.URL+"/plain", nil)
	require.NoError(t, err)
	req.Header = h
	res, err := first.Client().Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	return got
}

func TestTraceContextAndBaggageGoAlong(t *testing.T) {
	for name, rpc := range map[string]bool{"http": false, "connect": true} {
		off := chain(t, setup(t, io.Discard).Tracer, rpc)
		require.Equal(t, traceparent, off.Get("Traceparent"), "%s, no spans of its own: what came goes on as it is", name)
		require.Equal(t, "room=42", off.Get("Baggage"), name)

		recorded := tracetest.NewSpanRecorder()
		on := chain(t, sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorded)), rpc)
		require.Contains(t, on.Get("Traceparent"), callersTrace, name)
		require.NotEqual(t, traceparent, on.Get("Traceparent"), "%s: under the span here", name)
		members, err := baggage.Parse(on.Get("Baggage"))
		require.NoError(t, err)
		require.Equal(t, "42", members.Member("room").Value(), name)
		require.Len(t, recorded.Ended(), 2, "%s: a server's and a client's", name)
		for _, span := range recorded.Ended() {
			require.Equal(t, callersTrace, span.SpanContext().TraceID().String(), name)
		}
	}
}

func TestARequestWithoutATracePaysForNone(t *testing.T) {
	tel := setup(t, io.Discard)
	inner := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	wrapped := telemetry.Handler(inner, tel.Tracer, tel.Propagator, func(*http.Request) string { panic("no span, no name") })
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
	require.Zero(t, testing.AllocsPerRun(100, func() { wrapped.ServeHTTP(w, r) }))
}
