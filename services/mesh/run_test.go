package mesh_test

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"log/slog"
	"net/http/httptest"

	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/mesh"
	"github.com/smaran-v2/smaran/services/session"
)

func TestRunServesUntilItsContextEnds(t *testing.T) {
	entered, finish := make(chan struct{}), make(chan struct{})
	slow := pod(t, "a", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(entered)
			<-finish
		}
		_, _ = io.WriteString(w, "done")
	})
	f := newFile(t, slow)
	listen, operators := dead(t, "").Address, dead(t, "").Address
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() {
		ran <- mesh.Run(ctx, []string{"--listen", listen, "--admin", operators, "--endpoints", f.path, "--policy", "ring"},
			nil, io.Discard, io.Discard)
	}()
	c := client(t, false)
	require.Eventually(t, func() bool {
		res, err := c.Get("http://" + operators + "/readyz")
		return err == nil && res.Body.Close() == nil && res.StatusCode == http.StatusOK
	}, deadline, time.Millisecond)
	require.Equal(t, "done", bodyOf(t, get(t, c, "http://"+listen)))
	require.Contains(t, bodyOf(t, get(t, c, "http://"+operators+"/metrics")), `mesh_picks_total{pod="a",policy="ring"} 1`)

	answer := make(chan string, 1)
	go func() { answer <- bodyOf(t, get(t, c, "http://"+listen+"/slow")) }()
	<-entered
	stop()
	require.Eventually(t, func() bool {
		res, err := c.Get("http://" + listen)
		if err == nil {
			_ = res.Body.Close()
		}
		return err != nil
	}, deadline, time.Millisecond, "no new request is taken")
	close(finish)
	require.Equal(t, "done", <-answer, "the one under way is finished")
	require.NoError(t, <-ran)
}

func TestRunSaysWhatIsMissing(t *testing.T) {
	f := newFile(t, pods(t, 1)...)
	taken := serve(t, options(t, f, mesh.Ring)).addr
	for name, row := range map[string]struct {
		args []string
		want string
	}{
		"no file":      {[]string{"--endpoints", f.path + ".none", "--listen=127.0.0.1:0", "--admin=127.0.0.1:0"}, "must exist at the start"},
		"listen taken": {[]string{"--endpoints", f.path, "--listen", taken, "--admin=127.0.0.1:0"}, taken},
		"admin taken":  {[]string{"--endpoints", f.path, "--listen=127.0.0.1:0", "--admin", taken}, taken},
	} {
		t.Run(name, func(t *testing.T) {
			err := mesh.Run(t.Context(), append(row.args, "--policy=ring"), nil, io.Discard, io.Discard)
			require.ErrorContains(t, err, row.want)
		})
	}
}

func TestEndpointsThatEnvoyWouldRefuseChangeNothing(t *testing.T) {
	list := pods(t, 2)
	f := newFile(t, list...)
	s := serve(t, options(t, f, mesh.Ring))
	heavy := append([]endpoints.Endpoint(nil), list...)
	heavy[0].Weight, heavy[1].Weight = 1<<32-1, 1
	f.set(t, heavy...)
	require.Eventually(t, func() bool { return s.counter(t, "mesh_reloads_total", "result", "refused") == 1 }, deadline, time.Millisecond)
	require.Len(t, names(t, client(t, false), s.url, 50, noSession), 2)
}

func TestSpansAreMadeWhereTracingIsConfigured(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	parents := make(chan string, 1)
	f := newFile(t, pod(t, "a", func(_ http.ResponseWriter, r *http.Request) { parents <- r.Header.Get("traceparent") }))
	ctx, stop := context.WithCancel(t.Context())
	m, err := mesh.New(ctx, options(t, f, mesh.Ring), mesh.Dependencies{
		Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Clock: clockwork.NewRealClock(),
		Tracer: provider, Propagator: propagation.TraceContext{},
	})
	require.NoError(t, err)
	req := httptest.NewRequest(http.MethodGet, "/inference", nil)
	req.Header.Set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	req.Header.Set(session.Header, "call-7")
	m.ServeHTTP(httptest.NewRecorder(), req)
	stop()
	m.Wait()

	require.Len(t, spans.Ended(), 1)
	span := spans.Ended()[0]
	require.Equal(t, "0af7651916cd43dd8448eb211c80319c", span.SpanContext().TraceID().String())
	require.Equal(t, "b7ad6b7169203331", span.Parent().SpanID().String())
	require.Contains(t, <-parents, span.SpanContext().SpanID().String(), "the pod's span is under the mesh's")
	attributes := map[string]string{}
	for _, a := range span.Attributes() {
		attributes[string(a.Key)] = a.Value.String()
	}
	require.Equal(t, "call-7", attributes["session.id"])
	require.Equal(t, "a", attributes["jarvis.pod"])
	require.Equal(t, "200", attributes["http.response.status_code"])
}
