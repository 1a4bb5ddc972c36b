package fleet_test

import (
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/fleet"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/smaran/backend"
	"github.com/smaran-v2/smaran/services/wire"
)

// answer is the part of smaran's that matters here.
type answer struct {
	Served struct {
		Pod, Incarnation, Turn, State string
	}
	Routing struct{ Backend string }
}

func (h *harness) ask(t *testing.T, id string, header ...string) answer {
	t.Helper()
	var out answer
	get(t, h.Status().GetSmaranUrl()+wire.PathInference, &out, append(header, session.Header, id)...)
	return out
}

// realPrograms builds what a fleet runs.
func realPrograms(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	args := append(append([]string{"build"}, buildFlags()...), "-o", dir+"/", "../cmd/smaran", "../cmd/jarvis", "../cmd/mesh")
	out, err := exec.CommandContext(t.Context(), "go", args...).CombinedOutput()
	require.NoError(t, err, string(out))
	return dir
}

func TestRealPrograms(t *testing.T) {
	if testing.Short() {
		t.Skip("builds three programs")
	}
	h := startFleet(t, func(c *fleet.Config) {
		c.BinDir, c.Override, c.Detect, c.Grace = realPrograms(t), true, 100*time.Millisecond, time.Second
		c.Env = []string{"JARVIS_SLICE_LOAD=20ms", "JARVIS_CACHE_REBUILD_MIN=10ms", "JARVIS_CACHE_REBUILD_MAX=10ms", "JARVIS_INFERENCE_MEAN=5ms"}
	})
	t.Run("a session stays at its pod, and is lost with it", func(t *testing.T) {
		first := h.ask(t, "caller-1")
		require.Equal(t, "CACHE_STATE_COLD", first.Served.State)
		second := h.ask(t, "caller-1")
		require.Equal(t, first.Served.Pod, second.Served.Pod)
		require.Equal(t, "CACHE_STATE_WARM", second.Served.State)
		require.Equal(t, "2", second.Served.Turn)

		_, after, err := h.Kill(t.Context(), first.Served.Pod)
		require.NoError(t, err)
		require.Len(t, after.GetEndpoints(), 3)
		third := h.ask(t, "caller-1")
		require.NotEqual(t, first.Served.Incarnation, third.Served.Incarnation)
		require.Equal(t, "1", third.Served.Turn)
	})
	t.Run("every backend that the mesh's policy serves", func(t *testing.T) {
		for _, name := range []backend.Name{backend.RoundRobin, backend.RedisPlain, backend.Redis, backend.AppHash, backend.IstioHash} {
			id := "caller-" + string(name)
			pods := map[string]bool{}
			for range 6 {
				got := h.ask(t, id, wire.HeaderBackend, string(name))
				require.Equal(t, string(name), got.Routing.Backend)
				pods[got.Served.Pod] = true
			}
			if name == backend.RoundRobin {
				require.Greater(t, len(pods), 1, "control: without affinity requests spread")
			} else {
				require.Len(t, pods, 1, name)
			}
		}
	})
	t.Run("changes", func(t *testing.T) {
		_, err := h.Scale(t.Context(), 5)
		require.NoError(t, err)
		_, err = h.Scale(t.Context(), 2)
		require.NoError(t, err)
		after, err := h.Rollout(t.Context())
		require.NoError(t, err)
		require.Len(t, after.GetEndpoints(), 2)
		for _, e := range after.GetEndpoints() {
			require.Equal(t, endpoints.Healthy.String(), e.GetHealth())
		}
		require.NoError(t, h.SetRedis(t.Context(), false))
		require.NotEmpty(t, h.ask(t, "caller-2").Served.Pod)
		require.NoError(t, h.SetRedis(t.Context(), true))
		require.NoError(t, h.KillSmaran(t.Context()))
		require.NotEmpty(t, h.ask(t, "caller-2").Served.Pod)
	})
	all := pids(h.Status())
	begin := time.Now()
	require.NoError(t, h.Close())
	require.Less(t, time.Since(begin), patience, "no grace and no time-out is waited for")
	for _, pid := range all {
		require.False(t, alive(t, pid), pid)
	}
}
