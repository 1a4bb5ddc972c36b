package backend_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/jonboulle/clockwork"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/proto/jarvis/v1/jarvisv1connect"
	smaranv1 "github.com/smaran-v2/smaran/proto/smaran/v1"
	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/registry"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/smaran/backend"
	"github.com/smaran-v2/smaran/services/smaran/internal/core"
	"github.com/smaran-v2/smaran/services/smaran/internal/podtest"
	"github.com/smaran-v2/smaran/services/testreal"
	"github.com/smaran-v2/smaran/services/wire"
)

var leases = kind{name: backend.Redis, redis: true}

// clocked is a rig of the redis backend whose time the test moves.
func clocked(t *testing.T, n int, edit ...func(*backend.Deps)) (*rig, *clockwork.FakeClock) {
	t.Helper()
	clock := clockwork.NewFakeClock()
	return newRig(t, leases, n, append([]func(*backend.Deps){func(d *backend.Deps) { d.Clock = clock }}, edit...)...), clock
}

func (r *rig) epoch(t *testing.T, id session.ID) uint64 {
	t.Helper()
	o, err := registry.New(r.redis, 0).Owner(t.Context(), id)
	require.NoError(t, err)
	return o.Epoch
}

// requests counts those that reached a pod.
func requests(p *podtest.Pod) int { return len(p.Headers()) }

func TestEveryRequestCarriesTheEpoch(t *testing.T) {
	r, _ := clocked(t, 1)
	r.podOf(t, "s")
	headers := r.Pod("jarvis-0").Headers()
	require.Len(t, headers, 1)
	require.Equal(t, "1", headers[0].Get(wire.HeaderEpoch))
}

func TestAnOwnerIsUsedForAWhileWithoutAsking(t *testing.T) {
	r, clock := clocked(t, 3)
	r.podOf(t, "s")
	asked := func() int {
		before := r.mini.CommandCount()
		r.podOf(t, "s")
		return r.mini.CommandCount() - before
	}
	require.Zero(t, asked())
	clock.Advance(r.deps.RedisCache)
	require.Positive(t, asked(), "and then asked for again")
}

func TestAStaleEpochIsClaimedAnewAndRetriedOnce(t *testing.T) {
	r, _ := clocked(t, 3)
	pod := r.Pod(r.podOf(t, "s"))
	pod.Know("s", 7) // Redis lost claims that the pod has seen
	before := requests(pod)
	res, err := r.ask(t.Context(), "s")
	require.NoError(t, err)
	require.Equal(t, pod.Name, res.GetServed().GetPod())
	require.EqualValues(t, 8, res.GetServed().GetEpoch())
	require.EqualValues(t, 8, r.epoch(t, "s"))
	require.Equal(t, 2, requests(pod)-before)
}

func TestARetryIsNotRetried(t *testing.T) {
	r, _ := clocked(t, 3)
	r.podOf(t, "s")
	sent := 0
	for i := range 3 {
		r.Pod(fmt.Sprintf("jarvis-%d", i)).Refuse(func(string) error {
			sent++
			return podtest.NotHeld("", uint64(100*sent)) // always ahead
		})
	}
	_, err := r.ask(t.Context(), "s")
	var failed *core.Error
	require.ErrorAs(t, err, &failed)
	require.Equal(t, wire.CodeOwnerMoved, failed.Code)
	require.EqualValues(t, 200, failed.Epoch)
	require.Equal(t, 2, sent)
}

func TestACallThatIsOverIsNotLookedForElsewhere(t *testing.T) {
	r, _ := clocked(t, 3)
	pod := r.Pod(r.podOf(t, "s"))
	before := requests(pod)
	_, _, err := r.service.EndCall(within(t.Context(), "s"), core.Incoming{Header: r.jar("s")}, &smaranv1.EndCallRequest{})
	var failed *core.Error
	require.ErrorAs(t, err, &failed)
	require.Equal(t, wire.CodeOwnerMoved, failed.Code)
	require.Equal(t, 1, requests(pod)-before, "the register agrees with the pod, so asking again would change nothing")
	require.EqualValues(t, 1, r.epoch(t, "s"))
}

func TestADrainingPodHandsANewSessionOn(t *testing.T) {
	r, _ := clocked(t, 2)
	pod := r.Pod(r.podOf(t, "s"))
	pod.Refuse(func(procedure string) error {
		if procedure == jarvisv1connect.JarvisServiceOfferProcedure {
			return connect.NewError(connect.CodeUnavailable, errors.New("draining: it takes no new call"))
		}
		return nil
	})
	got, err := r.call(t.Context(), "s", "")
	require.NoError(t, err)
	require.NotEqual(t, pod.Name, got.GetPod())
	require.EqualValues(t, 2, got.GetEpoch())
}

func TestADeadPodIsLeftBeforeItsLeaseExpires(t *testing.T) {
	r, _ := clocked(t, 3)
	ids := sessions(10)
	before := map[session.ID]string{}
	for _, id := range ids {
		before[id] = r.podOf(t, id)
	}
	r.kill("jarvis-1") // still listed, its lease still live
	for _, id := range ids {
		after := r.podOf(t, id)
		require.NotEqual(t, "jarvis-1", after)
		if before[id] != "jarvis-1" {
			require.Equal(t, before[id], after, "control: the others stay")
		}
	}
}

func TestOutageOfARealRedis(t *testing.T) {
	addr := testreal.StartRedis(t)
	clients := registry.NewClient(addr, slow)
	t.Cleanup(func() { require.NoError(t, clients.Close()) })
	r := newRig(t, kind{name: backend.Redis}, 4, func(d *backend.Deps) { d.Redis = clients })
	r.HoldLeases(clients)
	ids := sessions(20)
	before := map[session.ID]string{}
	for _, id := range ids {
		res, err := r.ask(t.Context(), id)
		require.NoError(t, err)
		require.False(t, res.GetRouting().GetDegraded())
		before[id] = res.GetServed().GetPod()
	}

	_ = clients.ShutdownNoSave(t.Context()).Err() // the process ends instead of answering
	require.Eventually(t, func() bool { return clients.Ping(t.Context()).Err() != nil }, podtest.Wait, podtest.Poll)

	for _, id := range ids {
		res, err := r.ask(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, before[id], res.GetServed().GetPod(), "a known session stays")
		require.False(t, res.GetRouting().GetDegraded())
	}
	hosts := r.Current()
	picker, err := affinity.NewRendezvous(hosts.Hosts())
	require.NoError(t, err)
	for i := range 20 {
		id := session.ID(fmt.Sprintf("new-%d", i))
		res, err := r.ask(t.Context(), id)
		require.NoError(t, err)
		require.True(t, res.GetRouting().GetDegraded(), "a new one is marked")
		want := hosts.Endpoints[picker.Pick(affinity.HashValue(string(id)), 0)].Pod
		require.Equal(t, want, res.GetServed().GetPod(), "and goes where any other coordinator sends it")
		require.Equal(t, want, r.podOf(t, id))
	}
	require.InDelta(t, 2, r.metric(t, "smaran_redis_circuit_state"), 0, "open")
}

func TestAHangingRedisCostsThreeTimeouts(t *testing.T) {
	const timeout, probes = 200 * time.Millisecond, 500 * time.Millisecond
	addr := testreal.StartRedis(t)
	clients := registry.NewClient(addr, timeout)
	t.Cleanup(func() { require.NoError(t, clients.Close()) })
	// Whatever holds the leases waits longer than the backend.
	patient := registry.NewClient(addr, slow)
	t.Cleanup(func() { require.NoError(t, patient.Close()) })
	r := newRig(t, kind{name: backend.Redis}, 3, func(d *backend.Deps) { d.Redis, d.RedisTimeout = clients, timeout })
	r.HoldLeases(patient)
	r.podOf(t, "warm-up")
	require.NoError(t, patient.Do(t.Context(), "CLIENT", "PAUSE", "60000", "ALL").Err())

	slowOnes, begin := 0, time.Now()
	for i := range 30 {
		res, err := r.ask(t.Context(), session.ID(fmt.Sprintf("new-%d", i)))
		require.NoError(t, err)
		require.True(t, res.GetRouting().GetDegraded())
		if res.GetRouting().GetDecision().AsDuration() >= timeout/2 {
			slowOnes++
		}
	}
	require.GreaterOrEqual(t, slowOnes, 3, "control: it does hang")
	require.LessOrEqual(t, slowOnes, 4+int(time.Since(begin)/probes), "the circuit opens; one probe each half second")
	_ = clients.Do(context.WithoutCancel(t.Context()), "CLIENT", "UNPAUSE").Err()
}

func TestDialsThatTimeOutOpenTheCircuit(t *testing.T) {
	// A connection is given up before it can be there, as it is after a while to a host that drops packets.
	dialer := net.Dialer{Timeout: time.Nanosecond}
	_, err := dialer.DialContext(t.Context(), "tcp", "127.0.0.1:1")
	require.ErrorIs(t, err, context.DeadlineExceeded, "control: Go's error is a context's")
	unreachable := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, DialerRetries: 1, PoolSize: 1,
		Dialer: dialer.DialContext})
	t.Cleanup(func() { require.NoError(t, unreachable.Close()) })
	r := newRig(t, kind{name: backend.Redis}, 3, func(d *backend.Deps) { d.Redis = unreachable })
	for i := range 30 {
		res, err := r.ask(t.Context(), session.ID(fmt.Sprintf("new-%d", i)))
		require.NoError(t, err)
		require.True(t, res.GetRouting().GetDegraded())
	}
	require.Positive(t, r.metric(t, "smaran_redis_circuit_state"))
}

// metric is the value of a metric without labels.
func (r *rig) metric(t *testing.T, name string) float64 {
	t.Helper()
	families, err := r.metrics.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() == name {
			m := f.GetMetric()[0]
			return m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	require.Fail(t, "no such metric", name)
	return 0
}

func TestStalenessIsBounded(t *testing.T) {
	r, clock := clocked(t, 4)
	known := map[session.ID]string{}
	for _, id := range sessions(12) {
		known[id] = r.podOf(t, id)
	}
	r.mini.Close()
	clock.Advance(r.deps.RedisStale - time.Second)
	for id, pod := range known {
		require.Equal(t, pod, r.podOf(t, id))
	}
	clock.Advance(2 * time.Second)
	for id := range known {
		res, err := r.ask(t.Context(), id)
		require.NoError(t, err)
		require.True(t, res.GetRouting().GetDegraded(), "too old to be believed")
	}
}

func TestARedialDuringAnOutageIsRemembered(t *testing.T) {
	r, _ := clocked(t, 4)
	before, err := r.call(t.Context(), "s", "")
	require.NoError(t, err)
	r.mini.Close()
	after, err := r.call(t.Context(), "s", before.GetPod())
	require.NoError(t, err)
	require.NotEqual(t, before.GetPod(), after.GetPod())
	for range 5 {
		require.Equal(t, after.GetPod(), r.podOf(t, "s"))
	}
}

func TestAfterAnOutageSessionsAreClaimedWhereTheyAre(t *testing.T) {
	r, clock := clocked(t, 4)
	elsewhere := r.podOf(t, "known")
	set := backend.NewSet(r.deps) // a new process that knows no session
	r.mini.Close()

	placed := map[session.ID]string{}
	for _, id := range append(sessions(10), "known") {
		b, err := set.Get(backend.Redis)
		require.NoError(t, err)
		target, err := b.Route(t.Context(), backend.Request{Session: id})
		require.NoError(t, err)
		require.True(t, target.Degraded)
		placed[id] = target.Pod
	}

	require.NoError(t, r.mini.Restart())
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); set.Run(ctx, backend.Redis) }()
	defer func() { stop(); <-done }()
	register := registry.New(r.redis, 0)
	require.Eventually(t, func() bool {
		clock.Advance(time.Second)
		for id := range placed {
			if _, err := register.Owner(t.Context(), id); err != nil {
				return false
			}
		}
		return true
	}, podtest.Wait, 50*time.Millisecond)
	for id, pod := range placed {
		o, err := register.Owner(t.Context(), id)
		require.NoError(t, err)
		if id == "known" {
			pod = elsewhere
		}
		require.Equal(t, pod, o.Pod, "%s", id)
	}
}

func TestWithoutLeasesThePodsOfTheEndpointsServe(t *testing.T) {
	r := newRig(t, leases, 3)
	for i := range 3 {
		r.EndLease(fmt.Sprintf("jarvis-%d", i))
	}
	res, err := r.ask(t.Context(), "s")
	require.NoError(t, err, "a register that lost its pods is no reason to fail")
	require.True(t, res.GetRouting().GetDegraded())
}

func TestPlainRedisIsRandomWithoutRedis(t *testing.T) {
	r := newRig(t, kind{name: backend.RedisPlain, redis: true}, 4)
	require.Equal(t, r.podOf(t, "s"), r.podOf(t, "s"), "control")
	r.mini.Close()
	used := map[string]bool{}
	for range 40 {
		res, err := r.ask(t.Context(), "s")
		require.NoError(t, err)
		require.True(t, res.GetRouting().GetDegraded())
		used[res.GetServed().GetPod()] = true
	}
	require.Len(t, used, 4)
}

func TestPlainRedisForgetsASessionInUse(t *testing.T) {
	r := newRig(t, kind{name: backend.RedisPlain, redis: true}, 8, func(d *backend.Deps) { d.RedisTTL = 10 * time.Second })
	moved := 0
	for _, id := range sessions(20) {
		before := r.podOf(t, id)
		r.mini.FastForward(6 * time.Second)
		require.Equal(t, before, r.podOf(t, id))
		r.mini.FastForward(6 * time.Second)
		if r.podOf(t, id) != before {
			moved++
		}
	}
	require.Positive(t, moved, "use does not prolong an entry")
}
