package fleet_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/fleet"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/testreal"
	"github.com/smaran-v2/smaran/services/wire"
)

func TestEnvoyFollowsTheSameEndpointsFile(t *testing.T) {
	t.Setenv("ENVOY_BIN", testreal.Binary(t, "envoy"))
	h := startFleet(t, func(c *fleet.Config) { c.Mesh = fleet.MeshEnvoy })
	require.Equal(t, fleet.MeshEnvoy, h.process(t, "mesh").GetKind())
	require.Contains(t, h.process(t, "mesh").GetVersion(), "1.")

	_, err := h.Scale(t.Context(), 5)
	require.NoError(t, err)
	hosts := h.file(t).Hosts()
	ring, err := affinity.New(affinity.PolicyRing, hosts, affinity.Options{MinRingSize: h.cfg.RingSize})
	require.NoError(t, err)
	pods := map[string]string{}
	for _, p := range h.Status().GetPods() {
		pods[p.GetAddress()] = p.GetName()
	}
	used := map[string]bool{}
	for i := range 50 {
		id := fmt.Sprintf("session-%d", i)
		want := pods[hosts[ring.Pick(affinity.HashValue(id), 0)].Address]
		var got string
		// Envoy reads the file a moment after it was written; from then on it agrees.
		eventually(t, func() bool {
			get(t, h.Status().GetMeshUrl()+wire.PathInference, &got, session.Header, id)
			return got == want
		}, "%s is at %s, want %s", id, got, want)
		used[got] = true
	}
	require.Len(t, used, 5, "sessions spread, the new pods included")
}
