package podtest

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jonboulle/clockwork"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/mesh"
)

// proxy is a mesh over the fleet.
type proxy struct {
	file     string
	registry *prometheus.Registry
}

// Mesh starts a mesh over the fleet and returns its URL. It ends with the test. Changes of the fleet return once the mesh
// has them.
func (f *Fleet) Mesh(t testing.TB, policy mesh.Policy) string {
	t.Helper()
	p := &proxy{file: filepath.Join(t.TempDir(), "endpoints.json"), registry: prometheus.NewRegistry()}
	require.NoError(t, endpoints.WriteFile(p.file, f.Current()))
	options, err := mesh.Defaults(p.file, policy)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	m, err := mesh.New(ctx, options, mesh.Dependencies{
		Log: slog.New(slog.DiscardHandler), Registry: p.registry, Clock: clockwork.NewRealClock(),
	})
	require.NoError(t, err)
	server := httptest.NewServer(m)
	t.Cleanup(func() {
		server.Close()
		stop()
		m.Wait()
	})
	f.mu.Lock()
	f.meshes = append(f.meshes, p)
	f.mu.Unlock()
	return server.URL
}

// follow gives the mesh a new version of the endpoints and waits until it says that it has as many of each health.
func (p *proxy) follow(t testing.TB, set endpoints.Set) {
	t.Helper()
	require.NoError(t, endpoints.WriteFile(p.file, set))
	want := map[string]float64{}
	for _, e := range set.Endpoints {
		want[e.Health.String()]++
	}
	require.Eventually(t, func() bool { return cmp.Equal(want, p.endpoints(t)) }, Wait, Poll)
}

func (p *proxy) endpoints(t testing.TB) map[string]float64 {
	families, err := p.registry.Gather()
	require.NoError(t, err)
	got := map[string]float64{}
	for _, f := range families {
		if f.GetName() != "mesh_endpoints" {
			continue
		}
		for _, m := range f.GetMetric() {
			got[m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
		}
	}
	return got
}
