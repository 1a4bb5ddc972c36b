package backend_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/jonboulle/clockwork"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/goleak"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	smaranv1 "github.com/smaran-v2/smaran/proto/smaran/v1"
	"github.com/smaran-v2/smaran/services/mesh"
	"github.com/smaran-v2/smaran/services/registry"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/smaran/backend"
	"github.com/smaran-v2/smaran/services/smaran/internal/core"
	"github.com/smaran-v2/smaran/services/smaran/internal/podtest"
	"github.com/smaran-v2/smaran/services/smaran/token"
	"github.com/smaran-v2/smaran/services/wire"
)

func TestMain(m *testing.M) {
	// The driver looks for a Redis that is gone once a second, and notices only then that its client was closed.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

// slow is how long a test waits for a Redis on a busy machine.
const slow = 5 * time.Second

// rig is a fleet, a backend over it, and clients that keep what they are told.
type rig struct {
	*podtest.Fleet
	deps    backend.Deps
	service *core.Service
	metrics *prometheus.Registry
	redis   *redis.Client
	mini    *miniredis.Miniredis
	// jars hold each client's token.
	jars map[session.ID]http.Header
}

// kind is a backend under test, with what it promises.
type kind struct {
	label string
	name  backend.Name
	// mesh is how the mesh chooses; "" for a backend that needs none.
	mesh  mesh.Policy
	redis bool
	// peers: pods are reached through the mesh too.
	peers bool

	// sticky: a session's requests reach one pod while the endpoints stay.
	sticky bool
	// agrees: also concurrent first requests do.
	agrees bool
	// follows: requests after a redial reach the pod it led to at once, not only when the endpoints changed.
	follows bool
}

func kinds() []kind {
	kinds := []kind{
		{label: "roundrobin", name: backend.RoundRobin},
		{label: "redis-plain", name: backend.RedisPlain, redis: true, sticky: true, follows: true},
		{label: "redis", name: backend.Redis, redis: true, sticky: true, agrees: true, follows: true},
		{label: "app-hash", name: backend.AppHash, sticky: true, agrees: true},
		{label: "istio-hash:ring", name: backend.IstioHash, mesh: mesh.Ring, sticky: true, agrees: true},
		{label: "istio-hash:maglev", name: backend.IstioHash, mesh: mesh.Maglev, sticky: true, agrees: true},
		{label: "handoff", name: backend.Handoff, mesh: mesh.Ring, sticky: true, agrees: true},
		{label: "stateful-header", name: backend.StatefulHeader, mesh: mesh.StatefulByHeader, sticky: true, follows: true},
		{label: "stateful-cookie", name: backend.StatefulCookie, mesh: mesh.StatefulByCookie, sticky: true, follows: true},
	}
	for _, k := range slices.Clone(kinds) {
		k.label, k.peers = k.label+"/peers", true
		kinds = append(kinds, k)
	}
	return kinds
}

// newRig starts n pods and a backend of kind k over them.
func newRig(t testing.TB, k kind, n int, edit ...func(*backend.Deps)) *rig {
	t.Helper()
	r := &rig{Fleet: podtest.NewFleet(t, n), metrics: prometheus.NewRegistry(), jars: map[session.ID]http.Header{}}
	clock := clockwork.NewRealClock()
	sealer, err := token.NewSealer([]token.Key{token.RandomKey("test")}, time.Hour, clock)
	require.NoError(t, err)
	r.deps = backend.Deps{
		Endpoints: r.Fleet, Metrics: backend.NewMetrics(r.metrics), Log: slog.New(slog.DiscardHandler), Clock: clock, Seed: 1,
		Sealer:   sealer,
		RedisTTL: time.Minute, RedisTimeout: slow, RedisCache: time.Second, RedisStale: time.Minute,
	}
	if k.mesh != "" {
		r.deps.MeshURL, r.deps.MeshPolicy = r.Mesh(t, k.mesh), k.mesh
	}
	if k.peers {
		r.deps.Peers.URL = r.Peers(t)
	}
	if k.redis {
		r.mini = miniredis.RunT(t)
		r.redis = registry.NewClient(r.mini.Addr(), slow)
		t.Cleanup(func() { require.NoError(t, r.redis.Close()) })
		leases := registry.NewClient(r.mini.Addr(), slow)
		t.Cleanup(func() { require.NoError(t, leases.Close()) })
		r.deps.Redis = r.redis
		r.HoldLeases(leases)
	}
	for _, e := range edit {
		e(&r.deps)
	}
	r.serve(t, k.name)
	return r
}

func (r *rig) serve(t testing.TB, name backend.Name) {
	t.Helper()
	service, err := core.New(core.Options{
		Backends: backend.NewSet(r.deps), Backend: name, Endpoints: r.Fleet, Peers: r.deps.Peers, Sealer: r.deps.Sealer, RequestTimeout: 30 * time.Second,
		Tracer: noop.NewTracerProvider(), Propagator: propagation.TraceContext{}, Metrics: r.metrics,
		Clock: clockwork.NewRealClock(), Log: r.deps.Log,
	})
	require.NoError(t, err)
	t.Cleanup(service.Close)
	r.service = service
}

// ask sends an inference of a session, "" for none, as its client would.
func (r *rig) ask(ctx context.Context, id session.ID) (*smaranv1.InferResponse, error) {
	res, reply, err := r.service.Infer(within(ctx, id), core.Incoming{Header: r.jar(id)}, &smaranv1.InferRequest{})
	r.keep(id, reply)
	return res, err
}

// call places a call; lost makes it a redial.
func (r *rig) call(ctx context.Context, id session.ID, lost string) (*jarvisv1.Served, error) {
	res, reply, err := r.service.PlaceCall(within(ctx, id), core.Incoming{Header: r.jar(id)},
		&smaranv1.PlaceCallRequest{Sdp: "offer", LostPod: lost})
	r.keep(id, reply)
	return res.GetServed(), err
}

// kill ends a pod. Kept connections to it go too: a request that is sent on one at that very moment fails with every backend, and
// that is not what these tests are about.
func (r *rig) kill(name string) {
	r.Pod(name).Kill()
	r.service.Close()
}

func within(ctx context.Context, id session.ID) context.Context {
	if id == "" {
		return ctx
	}
	return session.NewContext(ctx, id)
}

func (r *rig) jar(id session.ID) http.Header {
	if r.jars[id] == nil {
		r.jars[id] = http.Header{}
	}
	return r.jars[id]
}

// keep is what a client does with the tokens of a reply.
func (r *rig) keep(id session.ID, reply core.Reply) {
	jar := r.jar(id)
	if v := reply.Header.Get(wire.HeaderStateful); v != "" {
		jar.Set(wire.HeaderStateful, v)
	}
	if v := reply.Header.Get("Set-Cookie"); v != "" {
		pair, _, _ := strings.Cut(v, ";")
		jar.Set("Cookie", pair)
	}
}

// podOf is the pod that serves a session.
func (r *rig) podOf(t testing.TB, id session.ID) string {
	t.Helper()
	res, err := r.ask(t.Context(), id)
	require.NoError(t, err)
	return res.GetServed().GetPod()
}

func sessions(n int) []session.ID {
	out := make([]session.ID, n)
	for i := range out {
		out[i] = session.ID(fmt.Sprintf("session-%d", i))
	}
	return out
}
