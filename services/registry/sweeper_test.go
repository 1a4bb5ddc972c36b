package registry_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/registry"
	"github.com/smaran-v2/smaran/services/session"
)

func TestSweepReclaimsOnlySessionsOfLostPods(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s store) {
		r := s.registry()
		s.start(t, pod{name: "jarvis-1", incarnation: "a"})
		s.start(t, pod{name: "jarvis-2", incarnation: "b"})
		const sessions = 500 // several batches
		for i := range sessions {
			id := session.ID(fmt.Sprintf("s-%d", i))
			_, _, err := r.Claim(t.Context(), id, registry.Claim{Candidates: []string{fmt.Sprintf("jarvis-%d", i%2+1)}})
			require.NoError(t, err)
		}
		sweeper := registry.NewSweeper(r, nil, slog.New(slog.DiscardHandler))
		n, err := sweeper.Sweep(t.Context())
		require.NoError(t, err)
		require.Zero(t, n, "control: all owners live")

		s.expire(t, "jarvis-1")
		n, err = sweeper.Sweep(t.Context())
		require.NoError(t, err)
		require.Equal(t, sessions/2, n)
		_, err = r.Owner(t.Context(), "s-0")
		require.ErrorIs(t, err, registry.ErrNotFound)
		kept, err := r.Owner(t.Context(), "s-1")
		require.NoError(t, err)
		require.Equal(t, owner("jarvis-2", "b", 1), kept)

		again, assigned, err := r.Claim(t.Context(), "s-0", registry.Claim{Candidates: []string{"jarvis-2"}})
		require.NoError(t, err)
		require.True(t, assigned)
		require.EqualValues(t, 2, again.Epoch, "the epoch outlives the owner")
	})
}

func TestSweeperRunsUntilItsContextEnds(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s store) {
		r := s.registry()
		s.start(t, pod{name: "jarvis-1", incarnation: "a"})
		_, _, err := r.Claim(t.Context(), "s", registry.Claim{Candidates: []string{"jarvis-1"}})
		require.NoError(t, err)
		s.expire(t, "jarvis-1")

		clock := clockwork.NewFakeClock()
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			registry.NewSweeper(r, clock, slog.New(slog.DiscardHandler)).Run(ctx)
		}()
		require.NoError(t, clock.BlockUntilContext(t.Context(), 1))
		clock.Advance(registry.SweepTime)
		require.Eventually(t, func() bool { return s.HGet(t.Context(), "sess:s", "pod").Val() == "" }, wait, poll)
		stop()
		<-done
	})
}
