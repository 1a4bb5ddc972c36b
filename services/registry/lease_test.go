package registry_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/registry"
	"github.com/smaran-v2/smaran/services/session"
)

func TestLeaseIsRenewedEachSecond(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s store) {
		p := s.start(t, pod{name: "jarvis-1", incarnation: "a"})
		for beat := uint64(2); beat < 5; beat++ {
			require.NoError(t, s.PExpire(t.Context(), "pod:jarvis-1", 10*time.Minute).Err())
			p.clock.Advance(registry.RenewalTime)
			require.Eventually(t, func() bool {
				pods, err := s.registry().Pods(t.Context(), []string{"jarvis-1"})
				return err == nil && len(pods) == 1 && pods[0].Beat == beat
			}, wait, poll)
			require.LessOrEqual(t, s.PTTL(t.Context(), "pod:jarvis-1").Val(), registry.LeaseTTL)
		}
	})
}

func TestRefreshPublishesAtOnce(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s store) {
		p := s.start(t, pod{name: "jarvis-1", incarnation: "a"})
		p.lease.Refresh() // the clock stands still
		require.Eventually(t, func() bool { return s.HGet(t.Context(), "pod:jarvis-1", "beat").Val() == "2" }, wait, poll)
	})
}

func TestLeaseIsGivenUpAtTheEnd(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s store) {
		p := s.start(t, pod{name: "jarvis-1", incarnation: "a"})
		p.stop()
		require.NoError(t, <-p.ended)
		require.Zero(t, s.Exists(t.Context(), "pod:jarvis-1").Val())
	})
}

func TestEarlierProcessOfTheSameNameGivesWay(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s store) {
		old := s.start(t, pod{name: "jarvis-1", incarnation: "a"})
		s.start(t, pod{name: "jarvis-1", incarnation: "b"})
		old.lease.Refresh()
		require.ErrorIs(t, <-old.ended, registry.ErrSuperseded)
		require.Equal(t, "b", s.HGet(t.Context(), "pod:jarvis-1", "incarnation").Val(), "and does not delete the lease of the other")
	})
}

func TestPodAssertsItsSessionsAfterRedisForgot(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s store) {
		type lost struct {
			id    session.ID
			owner registry.Owner
		}
		superseded := make(chan lost, 10)
		p := s.start(t, pod{
			name: "jarvis-1", incarnation: "a",
			owned:      []registry.Ownership{{Session: "mine", Epoch: 7}, {Session: "moved", Epoch: 3}, {Session: "tie", Epoch: 5}},
			superseded: func(id session.ID, o registry.Owner) { superseded <- lost{id, o} },
		})
		r := s.registry()
		require.NoError(t, s.FlushAll(t.Context()).Err())
		// Meanwhile two sessions were claimed elsewhere: one further than this pod knows, one as far.
		s.start(t, pod{name: "jarvis-2", incarnation: "b"})
		moved, _, err := r.Claim(t.Context(), "moved", registry.Claim{Candidates: []string{"jarvis-2"}, KnownEpoch: 8})
		require.NoError(t, err)
		tie, _, err := r.Claim(t.Context(), "tie", registry.Claim{Candidates: []string{"jarvis-2"}, KnownEpoch: 4})
		require.NoError(t, err)

		p.clock.Advance(registry.RenewalTime)
		require.Equal(t, lost{"moved", moved}, <-superseded)
		require.Equal(t, lost{"tie", tie}, <-superseded)
		mine, err := r.Owner(t.Context(), "mine")
		require.NoError(t, err)
		require.Equal(t, owner("jarvis-1", "a", 7), mine)

		kept, assigned, err := r.Claim(t.Context(), "mine", registry.Claim{Candidates: []string{"jarvis-2"}, Others: []string{"jarvis-1"}})
		require.NoError(t, err)
		require.False(t, assigned)
		require.Equal(t, mine, kept, "an asserted session is not assigned anew")
	})
}

func TestRenewalAloneAssertsNothing(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s store) {
		p := s.start(t, pod{name: "jarvis-1", incarnation: "a", owned: []registry.Ownership{{Session: "mine", Epoch: 7}}})
		require.Eventually(t, func() bool { return s.Exists(t.Context(), "sess:mine").Val() == 1 }, wait, poll)
		require.NoError(t, s.Del(t.Context(), "sess:mine").Err())
		p.lease.Refresh()
		require.Eventually(t, func() bool { return s.HGet(t.Context(), "pod:jarvis-1", "beat").Val() == "2" }, wait, poll)
		p.stop()
		require.NoError(t, <-p.ended)
		require.Zero(t, s.Exists(t.Context(), "sess:mine").Val(), "thousands of sessions are not written each second")
	})
}

func TestPodOutlivesARedisOutage(t *testing.T) {
	mini := miniredis.RunT(t)
	s := store{Client: client(t, mini.Addr()), forward: mini.FastForward}
	p := s.start(t, pod{name: "jarvis-1", incarnation: "a", owned: []registry.Ownership{{Session: "mine", Epoch: 7}}})
	mini.Close()
	for range 3 {
		require.NoError(t, p.clock.BlockUntilContext(t.Context(), 1))
		p.clock.Advance(registry.RenewalTime)
	}
	mini.FlushAll() // it comes back with nothing
	require.NoError(t, mini.Restart())
	require.Eventually(t, func() bool {
		p.clock.Advance(registry.RenewalTime)
		o, err := s.registry().Owner(t.Context(), "mine")
		return err == nil && o == owner("jarvis-1", "a", 7)
	}, wait, poll)
	select {
	case err := <-p.ended:
		require.Fail(t, "the lease ended", "%v", err)
	default:
	}
}

func TestNewLeaseWantsAWholePod(t *testing.T) {
	mini := miniredis.RunT(t)
	whole := registry.LeaseConfig{
		Client: client(t, mini.Addr()), Pod: "jarvis-1", Address: "127.0.0.1:1", Incarnation: "a",
		Status: func() registry.Status { return registry.Status{} }, Log: slog.New(slog.DiscardHandler),
	}
	_, err := registry.NewLease(whole)
	require.NoError(t, err)
	for name, strip := range map[string]func(*registry.LeaseConfig){
		"client":      func(c *registry.LeaseConfig) { c.Client = nil },
		"pod":         func(c *registry.LeaseConfig) { c.Pod = "" },
		"address":     func(c *registry.LeaseConfig) { c.Address = "" },
		"incarnation": func(c *registry.LeaseConfig) { c.Incarnation = "" },
		"status":      func(c *registry.LeaseConfig) { c.Status = nil },
		"log":         func(c *registry.LeaseConfig) { c.Log = nil },
	} {
		t.Run(name, func(t *testing.T) {
			c := whole
			strip(&c)
			_, err := registry.NewLease(c)
			require.ErrorIs(t, err, registry.ErrConfig)
		})
	}
}
