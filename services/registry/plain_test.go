package registry_test

import (
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/registry"
)

func TestPlainEntryLivesItsTimeFromTheWrite(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s store) {
		p := registry.NewPlain(s.Client, time.Minute)
		_, err := p.Get(t.Context(), "s")
		require.ErrorIs(t, err, registry.ErrNotFound)
		require.NoError(t, p.Set(t.Context(), "s", "jarvis-1"))
		require.NoError(t, s.PExpire(t.Context(), "session:s", 30*time.Second).Err())
		got, err := p.Get(t.Context(), "s")
		require.NoError(t, err)
		require.Equal(t, "jarvis-1", got)
		require.LessOrEqual(t, s.PTTL(t.Context(), "session:s").Val(), 30*time.Second, "use does not prolong it")
		require.NoError(t, p.Set(t.Context(), "s", "jarvis-2"))
		require.Greater(t, s.PTTL(t.Context(), "session:s").Val(), 30*time.Second)
	})
}

func TestPlainWithoutRedis(t *testing.T) {
	mini := miniredis.RunT(t)
	p := registry.NewPlain(client(t, mini.Addr()), 0)
	mini.Close()
	_, err := p.Get(t.Context(), "s")
	require.ErrorIs(t, err, registry.ErrUnavailable)
	require.ErrorIs(t, p.Set(t.Context(), "s", "jarvis-1"), registry.ErrUnavailable)
}
