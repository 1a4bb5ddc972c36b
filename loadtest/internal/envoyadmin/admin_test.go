package envoyadmin_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/envoyadmin"
	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/mesh"
)

// says is an Envoy that gives the answers, by path or by the resource that is asked for.
func says(t *testing.T, answers map[string]string) envoyadmin.Admin {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := r.URL.Path
		if resource := r.URL.Query().Get("resource"); resource != "" {
			key = resource + " " + r.URL.Query().Get("name_regex")
		}
		answer, ok := answers[key]
		if !ok {
			http.Error(w, "no such thing", http.StatusNotFound)
			return
		}
		fmt.Fprint(w, answer)
	}))
	t.Cleanup(server.Close)
	return envoyadmin.Admin{HTTP: server.Client(), Base: server.URL}
}

func TestVersion(t *testing.T) {
	version, err := says(t, map[string]string{"/server_info": `{"version":"5db4a3b/1.39.3/Clean/RELEASE/BoringSSL","state":"LIVE"}`}).Version(t.Context())
	require.NoError(t, err)
	require.Equal(t, "1.39.3", version)
	for _, bad := range []string{`{"version":"1.39.3"}`, `{}`, `no JSON`} {
		_, err := says(t, map[string]string{"/server_info": bad}).Version(t.Context())
		require.ErrorIs(t, err, envoyadmin.ErrAdmin, bad)
	}
	_, err = says(t, nil).Version(t.Context())
	require.ErrorIs(t, err, envoyadmin.ErrAdmin)
	require.ErrorContains(t, err, "no such thing", "what Envoy says")
}

func TestHealthIsWhatTheBalancersSee(t *testing.T) {
	for flags, want := range map[string]endpoints.Health{
		`{}`:                                                                      endpoints.Healthy,
		`{"eds_health_status":"UNKNOWN"}`:                                         endpoints.Healthy,
		`{"eds_health_status":"HEALTHY"}`:                                         endpoints.Healthy,
		`{"eds_health_status":"DRAINING"}`:                                        endpoints.Draining,
		`{"eds_health_status":"DEGRADED"}`:                                        endpoints.Degraded,
		`{"eds_health_status":"UNHEALTHY"}`:                                       endpoints.Unhealthy,
		`{"eds_health_status":"NEW_WORD"}`:                                        endpoints.Unhealthy,
		`{"eds_health_status":"HEALTHY","unknown":1}`:                             endpoints.Healthy,
		`{"failed_active_health_check":true}`:                                     endpoints.Unhealthy,
		`{"failed_outlier_check":true}`:                                           endpoints.Unhealthy,
		`{"excluded_via_immediate_hc_fail":true}`:                                 endpoints.Unhealthy,
		`{"pending_active_hc":true}`:                                              endpoints.Unhealthy,
		`{"failed_active_degraded_check":true}`:                                   endpoints.Draining,
		`{"failed_active_degraded_check":true,"failed_active_health_check":true}`: endpoints.Unhealthy,
	} {
		a := says(t, map[string]string{"/clusters": `{"cluster_statuses":[{"name":"other"},{"name":"jarvis","host_statuses":[
			{"address":{"socket_address":{"address":"10.9.8.11","port_value":8080}},"health_status":` + flags + `}]}]}`})
		hosts, err := a.Hosts(t.Context(), "jarvis")
		require.NoError(t, err)
		require.Equal(t, []endpoints.Endpoint{{Address: "10.9.8.11:8080", Health: want}}, hosts, flags)
		_, err = a.Hosts(t.Context(), "redis")
		require.ErrorIs(t, err, envoyadmin.ErrNoCluster)
	}
}

func TestDiscoveredHosts(t *testing.T) {
	const asked = `dynamic_endpoint_configs ^outbound\|80\|\|jarvis$`
	hosts, err := says(t, map[string]string{asked: `{"configs":[{"endpoint_config":{"endpoints":[{"lb_endpoints":[
		{"endpoint":{"address":{"socket_address":{"address":"10.244.0.9","port_value":8080}}},"health_status":"DRAINING"}]},{"lb_endpoints":[
		{"endpoint":{"address":{"socket_address":{"address":"fd00::7","port_value":8080}}}}]}]}}]}`}).Discovered(t.Context(), "outbound|80||jarvis")
	require.NoError(t, err)
	require.Equal(t, []endpoints.Endpoint{
		{Address: "10.244.0.9:8080", Health: endpoints.Draining}, {Address: "[fd00::7]:8080", Health: endpoints.Unknown},
	}, hosts)
	_, err = says(t, map[string]string{asked: `{}`}).Discovered(t.Context(), "outbound|80||jarvis")
	require.ErrorIs(t, err, envoyadmin.ErrNoCluster)
	_, err = says(t, map[string]string{asked: `{"configs":[{"endpoint_config":{"endpoints":[{"lb_endpoints":[{"endpoint":{}}]}]}}]}`}).Discovered(t.Context(), "outbound|80||jarvis")
	require.ErrorIs(t, err, envoyadmin.ErrAdmin)
}

func TestBalancing(t *testing.T) {
	for config, want := range map[string]envoyadmin.Balancing{
		`{}`:                            {Policy: mesh.RoundRobin},
		`{"lb_policy":"ROUND_ROBIN"}`:   {Policy: mesh.RoundRobin},
		`{"lb_policy":"LEAST_REQUEST"}`: {Policy: mesh.LeastRequest},
		`{"lb_policy":"MAGLEV"}`:        {Policy: mesh.Maglev},
		`{"lb_policy":"RING_HASH"}`:     {Policy: mesh.Ring, RingSize: affinity.DefaultMinRingSize},
		`{"lb_policy":"RING_HASH","ring_hash_lb_config":{"minimum_ring_size":"10240"}}`: {Policy: mesh.Ring, RingSize: 10240},
	} {
		for _, clusters := range []string{envoyadmin.StaticClusters, envoyadmin.DynamicClusters} {
			b, err := says(t, map[string]string{clusters + " ^jarvis$": `{"configs":[{"cluster":` + config + `}]}`}).Balancing(t.Context(), clusters, "jarvis")
			require.NoError(t, err)
			require.Equal(t, want, b, config)
		}
	}
	_, err := says(t, map[string]string{"static_clusters ^jarvis$": `{}`}).Balancing(t.Context(), envoyadmin.StaticClusters, "jarvis")
	require.ErrorIs(t, err, envoyadmin.ErrNoCluster)
}

func TestStatefulSessionsAreInFrontOfLeastRequests(t *testing.T) {
	for _, p := range mesh.Policies() {
		want := p
		if p == mesh.StatefulByHeader || p == mesh.StatefulByCookie {
			want = mesh.LeastRequest
		}
		require.Equal(t, want, envoyadmin.Below(p))
	}
}
