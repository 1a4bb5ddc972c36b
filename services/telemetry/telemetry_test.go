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

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"

	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/telemetry"
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

// collect is a collector that tells of what comes, and the variables that name it.
func collect(t *testing.T, handle http.HandlerFunc) (environ []string) {
	t.Helper()
	collector := httptest.NewServer(handle)
	t.Cleanup(collector.Close)
	for key, value := range map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": collector.URL, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"} {
		t.Setenv(key, value)
		environ = append(environ, key+"="+value)
	}
	return environ
}

func TestSpansAndMetricsReachTheCollectorThatIsNamed(t *testing.T) {
	arrived := make(chan *http.Request, 8)
	bodies := make(chan []byte, 8)
	tel := setup(t, io.Discard, collect(t, func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		arrived <- r
		bodies <- body
	})...)
	tel.Registry.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "pods_there", Help: "Pods."}))
	_, span := tel.Tracer.Tracer("test").Start(t.Context(), "work")
	require.True(t, span.IsRecording())
	span.End()
	tel.Shutdown(t.Context())
	sent := map[string]string{}
	for range 2 {
		r := <-arrived
		sent[r.URL.Path] = string(<-bodies)
	}
	require.Contains(t, sent["/v1/traces"], "work")
	require.Contains(t, sent["/v1/metrics"], "pods_there", "under the name that Prometheus reads")
}

func TestEachSignalIsAskedForByItself(t *testing.T) {
	t.Setenv("OTEL_METRICS_EXPORTER", "none")
	paths := make(chan string, 8)
	environ := collect(t, func(_ http.ResponseWriter, r *http.Request) { paths <- r.URL.Path })
	tel := setup(t, io.Discard, append(environ, "OTEL_METRICS_EXPORTER=none")...)
	_, span := tel.Tracer.Tracer("test").Start(t.Context(), "work")
	span.End()
	tel.Shutdown(t.Context())
	require.Equal(t, "/v1/traces", <-paths)
	require.Empty(t, paths)
}

func TestAnExporterThatIsUnknownIsAnError(t *testing.T) {
	for _, signal := range []string{"TRACES", "METRICS"} {
		key := "OTEL_" + signal + "_EXPORTER"
		t.Setenv(key, "carrier-pigeon")
		_, err := telemetry.Setup(t.Context(), telemetry.Options{Service: "jarvis", Level: "info", Format: "json", Out: io.Discard,
			Environ: []string{key + "=carrier-pigeon"}})
		require.ErrorContains(t, err, "carrier-pigeon")
		t.Setenv(key, "none")
	}
}

// within fails the test if do takes as long as no request may wait for a collector.
func within(t *testing.T, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { do(); close(done) }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("it waits for the collector")
	}
}

func TestACollectorThatIsNotThereDelaysNothing(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
	tel := setup(t, io.Discard, "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1")
	_, span := tel.Tracer.Tracer("test").Start(t.Context(), "work")
	span.End()
	within(t, func() { tel.Shutdown(context.WithoutCancel(t.Context())) })
}

func TestACollectorThatHangsDelaysNothing(t *testing.T) {
	release := make(chan struct{})
	tel := setup(t, io.Discard, collect(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})...)
	defer close(release)
	within(t, func() {
		for range 10_000 { // several times what is kept for it
			_, span := tel.Tracer.Tracer("test").Start(t.Context(), "work")
			span.End()
		}
	})
	within(t, func() { tel.Shutdown(context.WithoutCancel(t.Context())) })
}

func TestSetupRefusesUnknownOptions(t *testing.T) {
	for _, o := range []telemetry.Options{{Level: "loud", Format: "text"}, {Level: "info", Format: "xml"}} {
		o.Out = io.Discard
		_, err := telemetry.Setup(t.Context(), o)
		require.ErrorIs(t, err, telemetry.ErrOptions)
	}
}
