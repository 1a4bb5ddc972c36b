package jarvis_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/jonboulle/clockwork"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace/noop"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/proto/jarvis/v1/jarvisv1connect"
	"github.com/smaran-v2/smaran/services/internal/httpserver"
	"github.com/smaran-v2/smaran/services/jarvis"
	"github.com/smaran-v2/smaran/services/jarvis/model"
	"github.com/smaran-v2/smaran/services/jarvis/state"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/wire"
)

const (
	cold   = jarvisv1.CacheState_CACHE_STATE_COLD
	warm   = jarvisv1.CacheState_CACHE_STATE_WARM
	cached = jarvisv1.CacheState_CACHE_STATE_CACHED
)

// story is what a pod's defaults amount to.
var story = model.Timings{
	SliceLoad:       500 * time.Millisecond,
	CacheRebuildMin: 250 * time.Millisecond,
	CacheRebuildMax: 300 * time.Millisecond,
	InferenceMean:   100 * time.Millisecond,
	InferenceSigma:  0.03,
}

var identity = jarvis.Identity{Name: "jarvis-1", Address: "10.0.0.1:8080", Incarnation: "incarnation-1"}

// bench is one pod behind a real listener.
type bench struct {
	*jarvis.Pod
	calls    *fakeCalls
	registry *prometheus.Registry
	log      *syncBuffer
	url      string
	http     *http.Client
	// stop cuts what is under way and ends the server; it may be called again.
	stop func()
	rpc  jarvisv1connect.JarvisServiceClient
}

// start serves a pod whose virtual time jumps over waits, with room for 10 sessions and 5 calls. change may be nil.
func start(t testing.TB, change func(*jarvis.Options)) *bench {
	t.Helper()
	return serve(t, nil, change)
}

// serve is start at a listener of the caller's; nil makes one.
func serve(t testing.TB, listener net.Listener, change func(*jarvis.Options)) *bench {
	t.Helper()
	return serveThrough(t, listener, func(h http.Handler) http.Handler { return h }, change)
}

// serveThrough is serve with something between the listener and the pod.
func serveThrough(t testing.TB, listener net.Listener, through func(http.Handler) http.Handler, change func(*jarvis.Options)) *bench {
	t.Helper()
	b := &bench{calls: &fakeCalls{limit: 5}, registry: prometheus.NewRegistry(), log: new(syncBuffer)}
	options := jarvis.Options{
		Identity: identity,
		Model:    model.New(story, 1),
		Sessions: state.Options{Max: 10, Idle: time.Hour, Results: 32},
		MaxCalls: 5,
		NewCalls: func(hooks jarvis.Hooks) (jarvis.Calls, error) {
			b.calls.respond, b.calls.onMedia, b.calls.onEnd = hooks.Respond, hooks.OnMedia, hooks.OnEnd
			return b.calls, nil
		},
		Mode: session.Strict, Clock: jumpClock{clockwork.NewFakeClock()},
		Log: slog.New(slog.NewTextHandler(b.log, nil)), Registry: b.registry,
		Tracer: noop.NewTracerProvider(), Propagator: propagation.TraceContext{},
	}
	if change != nil {
		change(&options)
	}
	var err error
	b.Pod, err = jarvis.New(options)
	require.NoError(t, err)
	handler, err := b.Handler()
	require.NoError(t, err)

	ctx, cancel := context.WithCancel(context.Background())
	if listener == nil {
		listener, err = httpserver.Listen(ctx, "127.0.0.1:0")
		require.NoError(t, err)
	}
	served := make(chan error, 1)
	go func() {
		served <- httpserver.Serve(ctx, slog.New(slog.DiscardHandler), httpserver.Options{Name: "test", Listener: listener, Handler: through(handler)})
	}()
	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	b.stop = sync.OnceFunc(func() {
		transport.CloseIdleConnections()
		cancel()
		require.NoError(t, <-served)
	})
	t.Cleanup(b.stop)
	b.url = "http://" + listener.Addr().String()
	b.http = &http.Client{Transport: transport, Timeout: 20 * time.Second}
	b.rpc = jarvisv1connect.NewJarvisServiceClient(b.http, b.url, connect.WithInterceptors(session.Interceptor(session.Strict)))
	return b
}

// ready is start with the weights loaded.
func ready(t testing.TB, change func(*jarvis.Options)) *bench {
	t.Helper()
	b := start(t, change)
	require.NoError(t, b.Load(t.Context()))
	return b
}

// withClock has the pod use a fake clock that somebody has to advance.
func withClock(clock clockwork.Clock) func(*jarvis.Options) {
	return func(o *jarvis.Options) { o.Clock = clock }
}

func as(t testing.TB, id session.ID) context.Context { return session.NewContext(t.Context(), id) }

func (b *bench) infer(t testing.TB, id session.ID, msg *jarvisv1.InferRequest) *jarvisv1.InferResponse {
	t.Helper()
	res, err := b.rpc.Infer(as(t, id), connect.NewRequest(msg))
	require.NoError(t, err)
	return res.Msg
}

func (b *bench) offer(t testing.TB, id session.ID) {
	t.Helper()
	_, err := b.rpc.Offer(as(t, id), connect.NewRequest(&jarvisv1.OfferRequest{Sdp: "offer"}))
	require.NoError(t, err)
}

// inferAt is an inference under an epoch.
func (b *bench) inferAt(t testing.TB, id session.ID, epoch string) (*jarvisv1.InferResponse, error) {
	req := connect.NewRequest(&jarvisv1.InferRequest{})
	req.Header().Set(wire.HeaderEpoch, epoch)
	res, err := b.rpc.Infer(as(t, id), req)
	if err != nil {
		return nil, err
	}
	return res.Msg, nil
}

type plainReply struct {
	*http.Response
	body string
}

// plain sends a request over plain HTTP; header holds pairs.
func (b *bench) plain(t testing.TB, method, path, body string, header ...string) plainReply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, b.url+path, strings.NewReader(body))
	require.NoError(t, err)
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	res, err := b.http.Do(req)
	require.NoError(t, err)
	read, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	res.Body = io.NopCloser(bytes.NewReader(read))
	return plainReply{Response: res, body: string(read)}
}

func (r plainReply) problem(t testing.TB) wire.Problem {
	t.Helper()
	p, err := wire.ReadProblem(r.Response)
	require.NoError(t, err, r.body)
	require.Equal(t, r.StatusCode, p.Status)
	return p
}

// requireCode checks an RPC's error and returns its CallNotHeld detail, if it has one.
func requireCode(t testing.TB, want connect.Code, code wire.Code, err error) *jarvisv1.CallNotHeld {
	t.Helper()
	var rpc *connect.Error
	require.ErrorAs(t, err, &rpc)
	require.Equal(t, want, rpc.Code(), err)
	require.Contains(t, rpc.Message(), string(code))
	for _, detail := range rpc.Details() {
		value, err := detail.Value()
		require.NoError(t, err)
		if moved, ok := value.(*jarvisv1.CallNotHeld); ok {
			return moved
		}
	}
	return nil
}

// logged reports whether the pod's log holds text.
func (b *bench) logged(text string) bool { return strings.Contains(b.log.String(), text) }

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
