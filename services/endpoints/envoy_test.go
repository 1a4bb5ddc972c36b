package endpoints_test

import (
	"encoding/json"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/mesh"
	"github.com/smaran-v2/smaran/services/mesh/envoyconfig"
	"github.com/smaran-v2/smaran/services/testreal"
)

// inEnvoy is the endpoints as a running Envoy has them.
func inEnvoy(t *testing.T, e *testreal.Envoy) []endpoints.Endpoint {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+e.AdminAddr+"/clusters?format=json", nil)
	require.NoError(t, err)
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	var body struct {
		Clusters []struct {
			Name  string `json:"name"`
			Hosts []struct {
				Hostname string `json:"hostname"`
				Weight   uint32 `json:"weight"`
				Address  struct {
					Socket struct {
						Address string `json:"address"`
						Port    int    `json:"port_value"`
					} `json:"socket_address"`
				} `json:"address"`
				Health struct {
					EDS string `json:"eds_health_status"`
				} `json:"health_status"`
			} `json:"host_statuses"`
		} `json:"cluster_statuses"`
	}
	require.NoError(t, json.NewDecoder(res.Body).Decode(&body))
	require.Len(t, body.Clusters, 1)
	require.Equal(t, endpoints.ClusterName, body.Clusters[0].Name)
	var list []endpoints.Endpoint
	for _, h := range body.Clusters[0].Hosts {
		health := endpoints.Healthy // what Envoy makes of UNKNOWN
		for _, known := range []endpoints.Health{endpoints.Unhealthy, endpoints.Draining, endpoints.Degraded} {
			if known.String() == h.Health.EDS {
				health = known
			}
		}
		list = append(list, endpoints.Endpoint{
			Pod:     h.Hostname,
			Address: net.JoinHostPort(h.Address.Socket.Address, strconv.Itoa(h.Address.Socket.Port)),
			Health:  health,
			Weight:  h.Weight,
		})
	}
	return list
}

func TestARunningEnvoyReadsTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "eds.json")
	// DRAINING and DEGRADED are kept since the cookie may select them; UNHEALTHY and TIMEOUT are all one to Envoy.
	set := endpoints.Set{Version: "1", Endpoints: []endpoints.Endpoint{
		{Pod: "jarvis-2", Address: "127.0.0.4:8080", Health: endpoints.Healthy, Weight: 1},
		{Pod: "jarvis-0", Address: "127.0.0.2:8080", Health: endpoints.Draining, Weight: 1},
		{Pod: "jarvis-1", Address: "[::1]:8080", Weight: 3, HashKey: "first"},
		{Address: "127.0.0.5:8080", Health: endpoints.Degraded, Weight: 1},
		{Address: "127.0.0.6:8080", Health: endpoints.Unhealthy, Weight: 1},
	}}
	require.NoError(t, endpoints.WriteFile(path, set))
	o, err := mesh.Defaults(path, mesh.StatefulByCookie)
	require.NoError(t, err)
	o.Listen, o.Admin = "127.0.0.1:0", ""
	bootstrap, err := envoyconfig.Bootstrap(o)
	require.NoError(t, err)
	envoy := testreal.StartEnvoy(t, string(bootstrap))

	want := func(set endpoints.Set) []endpoints.Endpoint {
		var list []endpoints.Endpoint
		for _, e := range set.Endpoints {
			if e.Health == endpoints.Unknown {
				e.Health = endpoints.Healthy
			}
			e.HashKey = "" // not shown; the comparison of picks is in package mesh
			list = append(list, e)
		}
		return list
	}
	require.ElementsMatch(t, want(set), inEnvoy(t, envoy))

	set = endpoints.Set{Version: "2", Endpoints: append(set.Endpoints[1:4:4],
		endpoints.Endpoint{Pod: "jarvis-3", Address: "127.0.0.9:9", Health: endpoints.Healthy, Weight: 2})}
	require.NoError(t, endpoints.WriteFile(path, set))
	require.Eventually(t, func() bool { return len(inEnvoy(t, envoy)) == 4 }, deadline, 5*time.Millisecond)
	require.ElementsMatch(t, want(set), inEnvoy(t, envoy))
}
