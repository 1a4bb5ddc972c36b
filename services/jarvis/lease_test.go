package jarvis_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/alicebob/miniredis/v2"
	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/services/jarvis"
	"github.com/smaran-v2/smaran/services/registry"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/wire"
)

// recordTTL is no default of anything.
const recordTTL = 42 * time.Minute

// lease keeps b's lease in a Redis of the test's until stop is called.
func lease(t *testing.T, b *bench, clock clockwork.Clock) (redis *miniredis.Miniredis, owners *registry.Registry, stop func()) {
	t.Helper()
	redis = miniredis.RunT(t)
	client := registry.NewClient(redis.Addr(), time.Second)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	l, err := jarvis.NewLease(b.Pod, client, recordTTL, clock, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	b.OnState(l.Refresh)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	stop = func() {
		cancel()
		require.NoError(t, <-ended)
	}
	return redis, registry.New(client, time.Hour), stop
}

func published(t *testing.T, owners *registry.Registry) registry.Pod {
	t.Helper()
	pods, err := owners.Pods(t.Context(), []string{"jarvis-1"})
	if err != nil || len(pods) != 1 {
		return registry.Pod{}
	}
	pods[0].Beat = 0
	return pods[0]
}

func TestThePodPublishesItsStateAndCounts(t *testing.T) {
	clock := clockwork.NewFakeClock()
	b := start(t, nil)
	_, owners, stop := lease(t, b, clock)
	want := registry.Pod{Name: "jarvis-1", Address: "10.0.0.1:8080", Incarnation: "incarnation-1",
		Status: registry.Status{State: registry.StateStarting, MaxSessions: 10, MaxCalls: 5}}
	eventually := func() {
		t.Helper()
		require.Eventually(t, func() bool { return published(t, owners) == want }, 10*time.Second, time.Millisecond)
	}
	eventually()

	require.NoError(t, b.Load(t.Context()))
	want.State = registry.StateReady
	eventually() // at once: nobody moved the clock

	b.offer(t, "a")
	require.NoError(t, clock.BlockUntilContext(t.Context(), 1))
	clock.Advance(registry.RenewalTime)
	want.Sessions, want.Calls = 1, 1
	eventually()

	_, err := b.inferAt(t, "b", "")
	require.NoError(t, err)
	done := b.drain(t)
	want.State, want.Sessions = registry.StateDraining, 2
	eventually()
	require.NoError(t, b.calls.Hangup("a"))
	<-done

	stop()
	require.Equal(t, registry.Pod{}, published(t, owners), "given up")
}

func TestSessionsWithAnEpochAreAssertedAgainAfterAnOutage(t *testing.T) {
	clock := clockwork.NewFakeClock()
	b := ready(t, nil)
	for id, epoch := range map[session.ID]string{"mine": "7", "lost": "3", "without": ""} {
		_, err := b.inferAt(t, id, epoch)
		require.NoError(t, err)
	}
	redis, owners, stop := lease(t, b, clock)
	defer stop()
	require.Eventually(t, func() bool { return published(t, owners).Name != "" }, 10*time.Second, time.Millisecond)

	redis.Close()
	require.NoError(t, clock.BlockUntilContext(t.Context(), 1))
	clock.Advance(registry.RenewalTime)
	require.NoError(t, b.Ready(), "an outage makes no pod unready")
	_, err := b.inferAt(t, "mine", "7")
	require.NoError(t, err)

	redis.FlushAll()
	redis.HSet("sess:lost", "pod", "jarvis-2", "address", "10.0.0.2:8080", "incarnation", "x", "epoch", "4")
	require.NoError(t, redis.Restart())
	want := registry.Owner{Pod: "jarvis-1", Address: "10.0.0.1:8080", Incarnation: "incarnation-1", Epoch: 7}
	require.Eventually(t, func() bool {
		clock.Advance(registry.RenewalTime)
		owner, err := owners.Owner(t.Context(), "mine")
		return err == nil && owner == want
	}, 10*time.Second, 5*time.Millisecond)
	require.Equal(t, recordTTL, redis.TTL("sess:mine"))
	_, err = owners.Owner(t.Context(), "without")
	require.ErrorIs(t, err, registry.ErrNotFound)

	require.Eventually(t, func() bool {
		_, err := b.inferAt(t, "lost", "3")
		return err != nil
	}, 10*time.Second, 5*time.Millisecond, "the pod has learned that another one owns it")
	_, err = b.inferAt(t, "lost", "3")
	require.Equal(t, "jarvis-2", requireCode(t, connect.CodeFailedPrecondition, wire.CodeOwnerMoved, err).GetOwner())
}

// TestTheRegisterHasNoWordInWhatPodsHandOver: they have their titles from one another, and its records are not kept up to date with them.
func TestTheRegisterHasNoWordInWhatPodsHandOver(t *testing.T) {
	clock := clockwork.NewFakeClock()
	c := newTeam(t, 1)
	c.lists(set(c.pods...))
	m := c.pods[0]
	m.infer(t, "mine", &jarvisv1.InferRequest{})
	redis, owners, stop := lease(t, m.bench, clock)
	defer stop()
	there := func() bool { return published(t, owners).Name != "" }
	require.Eventually(t, there, 10*time.Second, time.Millisecond)

	redis.Close()
	require.NoError(t, clock.BlockUntilContext(t.Context(), 1))
	clock.Advance(registry.RenewalTime)
	redis.FlushAll()
	redis.HSet("sess:mine", "pod", "jarvis-2", "address", "10.0.0.2:8080", "incarnation", "x", "epoch", "9")
	require.NoError(t, redis.Restart())
	require.Eventually(t, func() bool {
		clock.Advance(registry.RenewalTime)
		return there()
	}, 10*time.Second, 5*time.Millisecond)
	for range 3 { // it would have been read by then
		clock.Advance(registry.RenewalTime)
		require.NoError(t, clock.BlockUntilContext(t.Context(), 1))
	}
	require.True(t, m.owns("mine"))
	require.Equal(t, "jarvis-2", redis.HGet("sess:mine", "pod"), "nor is anything written")
}
