package fleet_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/fleet"
	"github.com/smaran-v2/smaran/services/testreal"
)

// target is a group of targets as Prometheus' http_sd_configs reads it.
type target struct {
	Targets []string
	Labels  map[string]string
}

// targets are those that the control API tells Prometheus of, by pod.
func (h *harness) targets(t *testing.T) map[string]target {
	t.Helper()
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "http://127.0.0.1/targets", nil)
	fleet.Handler(h.Service()).ServeHTTP(w, r)
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, "application/json", w.Header().Get("Content-Type"))
	var list []target
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &list))
	out := map[string]target{}
	for _, to := range list {
		require.Len(t, to.Targets, 1)
		out[to.Labels["pod"]] = to
	}
	require.Len(t, out, len(list), "each pod once")
	return out
}

func TestPrometheusIsToldOfWhatRuns(t *testing.T) {
	h := startFleet(t, nil)
	at := h.targets(t)
	require.Len(t, at, 5)
	require.Equal(t, target{[]string{h.process(t, "smaran").GetAdmin()}, map[string]string{"job": "smaran", "pod": "smaran"}}, at["smaran"])
	require.Equal(t, target{[]string{h.process(t, "mesh").GetAdmin()}, map[string]string{"job": "mesh", "pod": "mesh"}}, at["mesh"])
	require.Equal(t, target{[]string{h.pod(t, "jarvis-2").GetAdmin()}, map[string]string{"job": "jarvis", "pod": "jarvis-2"}}, at["jarvis-2"])

	_, err := h.Scale(t.Context(), 1)
	require.NoError(t, err)
	at = h.targets(t)
	require.Contains(t, at, "jarvis-1")
	require.NotContains(t, at, "jarvis-2", "it is gone, and that is no alert")
	_, err = h.Freeze(t.Context(), "jarvis-1")
	require.NoError(t, err)
	require.Contains(t, h.targets(t), "jarvis-1", "one that does not answer is worth an alert")
}

func TestPrometheusIsToldWhereEnvoyHasItsMetrics(t *testing.T) {
	t.Setenv("ENVOY_BIN", testreal.Binary(t, "envoy"))
	h := startFleet(t, func(c *fleet.Config) { c.Mesh = fleet.MeshEnvoy })
	require.Equal(t, map[string]string{"job": "envoy", "pod": "mesh", "__metrics_path__": "/stats/prometheus"}, h.targets(t)["mesh"].Labels)
}
