package edge_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/goleak"

	"github.com/smaran-v2/smaran/services/internal/httpserver"
	"github.com/smaran-v2/smaran/services/mesh"
	"github.com/smaran-v2/smaran/services/peers"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/smaran/backend"
	"github.com/smaran-v2/smaran/services/smaran/internal/core"
	"github.com/smaran-v2/smaran/services/smaran/internal/edge"
	"github.com/smaran-v2/smaran/services/smaran/internal/podtest"
	"github.com/smaran-v2/smaran/services/smaran/token"
	"github.com/smaran-v2/smaran/services/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// settings are what a test may change.
type settings struct {
	backend  backend.Name
	override bool
	mode     session.Policy
	maxBody  int64
	origins  []string
	timeout  time.Duration
	tracer   trace.TracerProvider
	policy   mesh.Policy
	peers    peers.Way
	clock    clockwork.Clock
	relay    edge.Relay
}

// server is smaran's public API over a fleet.
type server struct {
	*podtest.Fleet
	url     string
	handler http.Handler
	client  *http.Client
	metrics *prometheus.Registry
	// stop asks the server to stop, as SIGTERM does.
	stop context.CancelFunc
	// stopped is closed once it has.
	stopped chan struct{}
}

func start(t testing.TB, fleet *podtest.Fleet, edit ...func(*settings)) *server {
	t.Helper()
	set := settings{
		backend: backend.AppHash, mode: session.Strict, maxBody: 1 << 20, origins: []string{"*"}, timeout: 30 * time.Second,
		tracer: noop.NewTracerProvider(), policy: mesh.Ring, clock: clockwork.NewRealClock(),
	}
	for _, e := range edit {
		e(&set)
	}
	var (
		log   = slog.New(slog.DiscardHandler)
		clock = set.clock
		s     = &server{Fleet: fleet, metrics: prometheus.NewRegistry(), stopped: make(chan struct{})}
	)
	sealer, err := token.NewSealer([]token.Key{token.RandomKey("test")}, time.Hour, clock)
	require.NoError(t, err)
	deps := backend.Deps{
		Endpoints: fleet, Peers: set.peers, Metrics: backend.NewMetrics(s.metrics), Log: log, Clock: clock, Seed: 1,
		MeshURL: fleet.Mesh(t, set.policy), MeshPolicy: set.policy, Sealer: sealer,
	}
	service, err := core.New(core.Options{
		Backends: backend.NewSet(deps), Backend: set.backend, AllowOverride: set.override, Endpoints: fleet, Peers: set.peers, Sealer: sealer, RequestTimeout: set.timeout,
		Tracer: set.tracer, Propagator: propagation.TraceContext{}, Metrics: s.metrics, Clock: clock, Log: log,
	})
	require.NoError(t, err)
	handler, err := edge.New(edge.Options{
		Service: service, SessionMode: set.mode, MaxBody: set.maxBody, Origins: set.origins, Relay: set.relay,
		Tracer: set.tracer, Propagator: propagation.TraceContext{}, Metrics: s.metrics, Clock: clock, Log: log,
	})
	require.NoError(t, err)

	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	l, err := httpserver.Listen(ctx, "127.0.0.1:0")
	require.NoError(t, err)
	go func() {
		defer close(s.stopped)
		_ = httpserver.Serve(ctx, log, httpserver.Options{Name: "api", Listener: l, Handler: handler, ShutdownGrace: podtest.Wait})
	}()
	transport := &http.Transport{}
	s.handler = handler
	s.url, s.client = "http://"+l.Addr().String(), &http.Client{Transport: transport}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		stop()
		<-s.stopped
		service.Close()
	})
	return s
}

// request is one to the API; a key of header may be there several times.
type request struct {
	method, path string
	header       http.Header
	body         string
}

func (s *server) send(t testing.TB, r request) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), r.method, s.url+r.path, strings.NewReader(r.body))
	require.NoError(t, err)
	for k, v := range r.header {
		req.Header[k] = v
	}
	res, err := s.client.Do(req)
	require.NoError(t, err)
	t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

// do sends a request and reads the whole answer.
func (s *server) do(t testing.TB, r request) (*http.Response, string) {
	t.Helper()
	res := s.send(t, r)
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res, string(body)
}

// as is the header of a session's client, with more pairs.
func as(id string, pairs ...string) http.Header {
	h := http.Header{}
	if id != "" {
		h.Set(session.Header, id)
	}
	for i := 0; i < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

// place places a call and returns the reply.
func (s *server) place(t testing.TB, id string, pairs ...string) *http.Response {
	t.Helper()
	res, body := s.do(t, request{
		method: http.MethodPost, path: wire.PathCalls, body: "offer",
		header: as(id, append([]string{"Content-Type", wire.ContentTypeSDP}, pairs...)...),
	})
	require.Equal(t, http.StatusCreated, res.StatusCode, body)
	require.Equal(t, "answer to offer", body)
	return res
}

func problem(t testing.TB, res *http.Response) wire.Problem {
	t.Helper()
	p, err := wire.ReadProblem(res)
	require.NoError(t, err)
	return p
}
