package fleet_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/fleet"
	"github.com/smaran-v2/smaran/services/smaran/backend"
)

func TestASecondWayIsBehindTheFirst(t *testing.T) {
	const behind = 300 * time.Millisecond
	h := startFleet(t, func(c *fleet.Config) { c.SecondWay = behind })
	require.Len(t, h.Status().GetSmaranUrls(), 2)
	require.Equal(t, h.Status().GetSmaranUrl(), h.Status().GetSmaranUrls()[0])
	for _, name := range []string{"smaran-2", "mesh-2"} {
		require.True(t, h.process(t, name).GetRunning(), name)
	}
	late := func() endpoints.Set {
		found, err := filepath.Glob(filepath.Join(h.cfg.Dir, "run-*", "endpoints-late.json"))
		require.NoError(t, err)
		require.Len(t, found, 1)
		set, err := endpoints.ReadFile(found[0])
		require.NoError(t, err)
		return set
	}
	eventually(t, func() bool { return len(late().Endpoints) == 3 }, "the first pods")

	_, err := h.Scale(t.Context(), 4)
	require.NoError(t, err)
	history := h.Status().GetHistory()
	changed := history[len(history)-1].GetWritten().AsTime()
	eventually(t, func() bool { return len(late().Endpoints) == 4 }, "the fourth pod")
	require.GreaterOrEqual(t, time.Since(changed), behind)
	require.Equal(t, h.file(t), late(), "and then the same")
	require.GreaterOrEqual(t, h.Status().GetSettleMargin().AsDuration(), behind)
}

func TestOneWayIsTheRule(t *testing.T) {
	h := startFleet(t, nil)
	require.Equal(t, []string{h.Status().GetSmaranUrl()}, h.Status().GetSmaranUrls())
	require.Len(t, h.Status().GetProcesses(), 4)
}

func TestOnlyPodsThatHandOverKeepASessionStore(t *testing.T) {
	cfg := config(t, func(c *fleet.Config) { c.SessionStore = fleet.StoreRedis })
	require.ErrorIs(t, cfg.Validate(), fleet.ErrConfig)

	h := startFleet(t, func(c *fleet.Config) { c.Backend, c.SessionStore = backend.Handoff, fleet.StoreRedis })
	var pod []string
	get(t, "http://"+h.pod(t, "jarvis-1").GetAdmin()+"/environ", &pod)
	require.Contains(t, pod, "JARVIS_SESSION_STORE=redis")
	require.Contains(t, pod, "JARVIS_REDIS_ADDR="+h.process(t, "redis").GetAddress())
}
