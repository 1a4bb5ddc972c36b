package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"

	"github.com/smaran-v2/smaran/services/internal/telemetry"
	"github.com/smaran-v2/smaran/services/session"
)

func setup(t *testing.T, out io.Writer, environ ...string) *telemetry.Telemetry {
	t.Helper()
	tel, err := telemetry.Setup(t.Context(), telemetry.Options{Service: "jarvis", Instance: "jarvis-2",
		Level: "info", Format: "json", Out: out, Environ: environ})
	require.NoError(t, err)
	return tel
}

func TestLogsCarrySessionAndTrace(t *testing.T) {
	var out bytes.Buffer
	tel := setup(t, &out)
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}})
	ctx := session.NewContext(trace.ContextWithSpanContext(t.Context(), span), "call-7")
	tel.Log.InfoContext(ctx, "answered")
	tel.Log.DebugContext(ctx, "below the level")

	var record map[string]any
	require.NoError(t, json.Unmarshal(out.Bytes(), &record), "one record: %s", out.String())
	require.Equal(t, "call-7", record["session"])
	require.Equal(t, span.TraceID().String(), record["trace_id"])
	require.Equal(t, "jarvis-2", record["instance"])
}

func TestNothingIsTracedUnlessAskedFor(t *testing.T) {
	for _, environ := range [][]string{
		nil,
		{"OTEL_TRACES_EXPORTER=none", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1"},
		{"OTEL_SDK_DISABLED=true", "OTEL_TRACES_EXPORTER=otlp"},
	} {
		tel := setup(t, io.Discard, environ...)
		_, span := tel.Tracer.Tracer("test").Start(t.Context(), "work")
		require.False(t, span.IsRecording(), "%v", environ)
	}
}

func TestSpansReachTheCollectorThatIsNamed(t *testing.T) {
	arrived := make(chan string, 8)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { arrived <- r.URL.Path }))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")

	tel := setup(t, io.Discard, "OTEL_EXPORTER_OTLP_ENDPOINT="+collector.URL)
	_, span := tel.Tracer.Tracer("test").Start(t.Context(), "work")
	require.True(t, span.IsRecording())
	span.End()
	tel.Shutdown(t.Context())
	require.Equal(t, "/v1/traces", <-arrived)
}

func TestAnUnreachableCollectorDelaysNothing(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
	tel := setup(t, io.Discard, "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1")
	_, span := tel.Tracer.Tracer("test").Start(t.Context(), "work")
	span.End()

	done := make(chan struct{})
	go func() { tel.Shutdown(context.WithoutCancel(t.Context())); close(done) }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("shutdown waits for a collector that is not there")
	}
}

func TestSetupRefusesUnknownOptions(t *testing.T) {
	for _, o := range []telemetry.Options{{Level: "loud", Format: "text"}, {Level: "info", Format: "xml"}} {
		o.Out = io.Discard
		_, err := telemetry.Setup(t.Context(), o)
		require.ErrorIs(t, err, telemetry.ErrOptions)
	}
}
