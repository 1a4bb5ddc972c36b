package registry_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/jonboulle/clockwork"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/smaran-v2/smaran/services/registry"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/testreal"
)

func TestMain(m *testing.M) {
	// The driver looks for a Redis that is gone once a second, and notices only then that its client was closed.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

const (
	wait = 10 * time.Second
	poll = 2 * time.Millisecond
	// slow gives a Redis on a busy machine time that smaran would not.
	slow = 5 * time.Second
)

// store is a Redis under test.
type store struct {
	*redis.Client
	// forward moves the clock of a Redis that has none of its own; nil for a real one.
	forward func(time.Duration)
}

// onEveryRedis runs a test against a real Redis and against the embedded one.
func onEveryRedis(t *testing.T, test func(t *testing.T, s store)) {
	t.Run("real", func(t *testing.T) { test(t, store{Client: client(t, testreal.StartRedis(t))}) })
	t.Run("embedded", func(t *testing.T) {
		mini := miniredis.RunT(t)
		test(t, store{Client: client(t, mini.Addr()), forward: mini.FastForward})
	})
}

func client(t *testing.T, addr string) *redis.Client {
	t.Helper()
	c := registry.NewClient(addr, slow)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// expire ends a lease as time would.
func (s store) expire(t *testing.T, pod string) {
	t.Helper()
	require.NoError(t, s.PExpire(t.Context(), "pod:"+pod, time.Millisecond).Err())
	if s.forward != nil {
		s.forward(time.Millisecond)
	}
	require.Eventually(t, func() bool { return s.Exists(t.Context(), "pod:"+pod).Val() == 0 }, wait, poll)
}

// pod is a process with a lease.
type pod struct {
	name, incarnation string
	state             registry.State
	sessions          int
	owned             []registry.Ownership
	superseded        func(session.ID, registry.Owner)
}

// runningPod is a pod whose lease is held.
type runningPod struct {
	lease *registry.Lease
	clock *clockwork.FakeClock
	stop  context.CancelFunc
	ended chan error
}

// start holds a pod's lease until the test ends or stop is called, and returns once it is in the register.
func (s store) start(t *testing.T, p pod) *runningPod {
	t.Helper()
	if p.state == "" {
		p.state = registry.StateReady
	}
	clock := clockwork.NewFakeClock()
	lease, err := registry.NewLease(registry.LeaseConfig{
		// A client of its own, as a process has.
		Client: client(t, s.Options().Addr), Pod: p.name, Address: p.name + ":8080", Incarnation: p.incarnation,
		Status:     func() registry.Status { return registry.Status{State: p.state, Sessions: p.sessions} },
		Owned:      func() []registry.Ownership { return p.owned },
		Superseded: p.superseded,
		Clock:      clock,
		Log:        slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	run := &runningPod{lease: lease, clock: clock, stop: stop, ended: make(chan error, 1)}
	go func() { run.ended <- lease.Run(ctx); close(run.ended) }()
	t.Cleanup(func() { stop(); <-run.ended })
	s.awaitLease(t, p.name, p.incarnation)
	return run
}

func (s store) awaitLease(t *testing.T, name, incarnation string) {
	t.Helper()
	require.Eventually(t, func() bool {
		return s.HGet(t.Context(), "pod:"+name, "incarnation").Val() == incarnation
	}, wait, poll, "lease of %s", name)
}

func (s store) registry() *registry.Registry { return registry.New(s.Client, 0) }

func owner(name, incarnation string, epoch uint64) registry.Owner {
	return registry.Owner{Pod: name, Address: name + ":8080", Incarnation: incarnation, Epoch: epoch}
}

func TestFirstClaimAssignsAndLaterOnesKeep(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s store) {
		s.start(t, pod{name: "jarvis-1", incarnation: "a"})
		s.start(t, pod{name: "jarvis-2", incarnation: "b"})
		r := s.registry()

		got, assigned, err := r.Claim(t.Context(), "s", registry.Claim{Candidates: []string{"jarvis-2", "jarvis-1"}})
		require.NoError(t, err)
		require.True(t, assigned)
		require.Equal(t, owner("jarvis-2", "b", 1), got)

		got, assigned, err = r.Claim(t.Context(), "s", registry.Claim{Candidates: []string{"jarvis-1", "jarvis-2"}})
		require.NoError(t, err)
		require.False(t, assigned)
		require.Equal(t, owner("jarvis-2", "b", 1), got, "preference does not move a session whose owner lives")

		other, _, err := r.Claim(t.Context(), "other", registry.Claim{Candidates: []string{"jarvis-1", "jarvis-2"}})
		require.NoError(t, err)
		require.Equal(t, "jarvis-1", other.Pod, "control: another session does follow the preference")

		recorded, err := r.Owner(t.Context(), "s")
		require.NoError(t, err)
		require.Equal(t, got, recorded)
		require.Positive(t, s.PTTL(t.Context(), "sess:s").Val())
		require.LessOrEqual(t, s.PTTL(t.Context(), "pod:jarvis-1").Val(), registry.LeaseTTL)
		require.Positive(t, s.PTTL(t.Context(), "pod:jarvis-1").Val())
	})
}

func TestConcurrentFirstClaimsGiveOneOwner(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s store) {
		const pods, claims = 5, 40
		var names []string
		for i := range pods {
			names = append(names, fmt.Sprintf("jarvis-%d", i))
			s.start(t, pod{name: names[i], incarnation: fmt.Sprint(i)})
		}
		r := s.registry()
		var (
			wg     sync.WaitGroup
			owners [claims]registry.Owner
			fresh  [claims]bool
			errs   [claims]error
		)
		for i := range claims {
			// Each prefers another pod, as coordinators that choose on their own do.
			candidates := append(append([]string{}, names[i%pods:]...), names[:i%pods]...)
			wg.Go(func() {
				owners[i], fresh[i], errs[i] = r.Claim(t.Context(), "s", registry.Claim{Candidates: candidates})
			})
		}
		wg.Wait()
		assigned := 0
		for i := range claims {
			require.NoError(t, errs[i])
			require.Equal(t, owners[0], owners[i])
			if fresh[i] {
				assigned++
			}
		}
		require.Equal(t, 1, assigned)
		require.EqualValues(t, 1, owners[0].Epoch)
	})
}

func TestLostLeaseMovesTheSessionAndRaisesTheEpoch(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s store) {
		s.start(t, pod{name: "jarvis-1", incarnation: "a"})
		s.start(t, pod{name: "jarvis-2", incarnation: "b"})
		r := s.registry()
		both := registry.Claim{Candidates: []string{"jarvis-1", "jarvis-2"}}
		_, _, err := r.Claim(t.Context(), "s", both)
		require.NoError(t, err)

		s.expire(t, "jarvis-1")
		got, assigned, err := r.Claim(t.Context(), "s", both)
		require.NoError(t, err)
		require.True(t, assigned)
		require.Equal(t, owner("jarvis-2", "b", 2), got)
	})
}

func TestSameNameWithAnotherIncarnationIsAnotherPod(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s store) {
		r := s.registry()
		only := registry.Claim{Candidates: []string{"jarvis-1"}}
		s.start(t, pod{name: "jarvis-1", incarnation: "a"})
		_, _, err := r.Claim(t.Context(), "s", only)
		require.NoError(t, err)

		// The old lease has not expired when the new process starts.
		s.start(t, pod{name: "jarvis-1", incarnation: "b"})
		got, assigned, err := r.Claim(t.Context(), "s", only)
		require.NoError(t, err)
		require.True(t, assigned)
		require.Equal(t, owner("jarvis-1", "b", 2), got)
	})
}

func TestDrainingPodKeepsItsSessionsAndGetsNoNewOnes(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s store) {
		r := s.registry()
		s.start(t, pod{name: "jarvis-1", incarnation: "a"})
		only := registry.Claim{Candidates: []string{"jarvis-1"}}
		before, _, err := r.Claim(t.Context(), "old", only)
		require.NoError(t, err)
		require.NoError(t, s.HSet(t.Context(), "pod:jarvis-1", "state", string(registry.StateDraining)).Err())

		after, assigned, err := r.Claim(t.Context(), "old", only)
		require.NoError(t, err)
		require.False(t, assigned)
		require.Equal(t, before, after)
		_, _, err = r.Claim(t.Context(), "new", only)
		require.ErrorIs(t, err, registry.ErrNoPods)
	})
}

func TestAvoidedPodIsTheLastResort(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s store) {
		r := s.registry()
		s.start(t, pod{name: "jarvis-1", incarnation: "a"})
		alone := registry.Claim{Candidates: []string{"jarvis-1"}, Avoid: "jarvis-1"}
		got, assigned, err := r.Claim(t.Context(), "s", alone)
		require.NoError(t, err)
		require.True(t, assigned)
		require.Equal(t, owner("jarvis-1", "a", 1), got)
		got, assigned, err = r.Claim(t.Context(), "s", alone)
		require.NoError(t, err)
		require.False(t, assigned, "its lease is live and there is no other")
		require.EqualValues(t, 1, got.Epoch)

		s.start(t, pod{name: "jarvis-2", incarnation: "b"})
		both := registry.Claim{Candidates: []string{"jarvis-1", "jarvis-2"}, Avoid: "jarvis-1"}
		got, assigned, err = r.Claim(t.Context(), "s", both)
		require.NoError(t, err)
		require.True(t, assigned)
		require.Equal(t, owner("jarvis-2", "b", 2), got)
		got, assigned, err = r.Claim(t.Context(), "s", both)
		require.NoError(t, err)
		require.False(t, assigned, "a second redial finds it moved already")
		require.EqualValues(t, 2, got.Epoch)
	})
}

func TestRecordBehindAKnownEpochIsLiftedAboveIt(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s store) {
		r := s.registry()
		s.start(t, pod{name: "jarvis-1", incarnation: "a"})
		c := registry.Claim{Candidates: []string{"jarvis-1"}}
		_, _, err := r.Claim(t.Context(), "s", c)
		require.NoError(t, err)

		c.KnownEpoch = 1
		got, _, err := r.Claim(t.Context(), "s", c)
		require.NoError(t, err)
		require.EqualValues(t, 1, got.Epoch, "not behind")
		c.KnownEpoch = 41
		got, assigned, err := r.Claim(t.Context(), "s", c)
		require.NoError(t, err)
		require.False(t, assigned)
		require.Equal(t, owner("jarvis-1", "a", 42), got)
		require.NoError(t, s.Del(t.Context(), "sess:s").Err())
		got, assigned, err = r.Claim(t.Context(), "s", c)
		require.NoError(t, err)
		require.True(t, assigned)
		require.EqualValues(t, 42, got.Epoch)
	})
}

func TestOwnerThatTheCallerHasNotHeardOfIsFound(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s store) {
		r := s.registry()
		s.start(t, pod{name: "jarvis-1", incarnation: "a"})
		s.start(t, pod{name: "jarvis-2", incarnation: "b"})
		want, _, err := r.Claim(t.Context(), "s", registry.Claim{Candidates: []string{"jarvis-1"}})
		require.NoError(t, err)
		got, assigned, err := r.Claim(t.Context(), "s", registry.Claim{Candidates: []string{"jarvis-2"}})
		require.NoError(t, err)
		require.False(t, assigned)
		require.Equal(t, want, got)

		s.expire(t, "jarvis-1")
		got, _, err = r.Claim(t.Context(), "s", registry.Claim{Candidates: []string{"jarvis-2"}})
		require.NoError(t, err)
		require.Equal(t, owner("jarvis-2", "b", 2), got, "control: one whose lease is gone is not kept")
	})
}

func TestNobodyToClaim(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s store) {
		r := s.registry()
		_, _, err := r.Claim(t.Context(), "s", registry.Claim{})
		require.ErrorIs(t, err, registry.ErrNoPods)
		_, _, err = r.Claim(t.Context(), "s", registry.Claim{Candidates: []string{"jarvis-1"}})
		require.ErrorIs(t, err, registry.ErrNoPods, "a candidate without a lease")
		s.start(t, pod{name: "jarvis-1", incarnation: "a", state: registry.StateStarting})
		_, _, err = r.Claim(t.Context(), "s", registry.Claim{Candidates: []string{"jarvis-1"}})
		require.ErrorIs(t, err, registry.ErrNoPods, "a candidate that is not ready")
		_, err = r.Owner(t.Context(), "s")
		require.ErrorIs(t, err, registry.ErrNotFound)
	})
}

func TestUnreachableRedisAndCancellationDiffer(t *testing.T) {
	mini := miniredis.RunT(t)
	s := store{Client: client(t, mini.Addr())}
	r := s.registry()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := r.Claim(ctx, "s", registry.Claim{Candidates: []string{"jarvis-1"}})
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, registry.ErrUnavailable)

	mini.Close()
	_, _, err = r.Claim(t.Context(), "s", registry.Claim{Candidates: []string{"jarvis-1"}})
	require.ErrorIs(t, err, registry.ErrUnavailable)
	_, err = r.Owner(t.Context(), "s")
	require.ErrorIs(t, err, registry.ErrUnavailable)
	_, err = r.Pods(t.Context(), []string{"jarvis-1"})
	require.ErrorIs(t, err, registry.ErrUnavailable)
}

func TestPodsAreTheLiveLeases(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s store) {
		s.start(t, pod{name: "jarvis-1", incarnation: "a", sessions: 7})
		got, err := s.registry().Pods(t.Context(), []string{"jarvis-1", "jarvis-2"})
		require.NoError(t, err)
		require.Equal(t, []registry.Pod{{
			Name: "jarvis-1", Address: "jarvis-1:8080", Incarnation: "a", Beat: 1,
			Status: registry.Status{State: registry.StateReady, Sessions: 7},
		}}, got)
		none, err := s.registry().Pods(t.Context(), nil)
		require.NoError(t, err)
		require.Empty(t, none)
	})
}
