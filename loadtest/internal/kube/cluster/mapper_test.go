package cluster_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/smaran-v2/smaran/loadtest/internal/kube/cluster"
)

// connect is to an API server that answers so by path. It fails where it is asked for anything else.
func connect(t *testing.T, answers map[string]string) *cluster.Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		answer, ok := answers[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		if answer == "" {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, answer)
	}))
	t.Cleanup(server.Close)
	config := filepath.Join(t.TempDir(), "config")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, `{
		"apiVersion": "v1", "kind": "Config", "clusters": [{"name": "c", "cluster": {"server": %q}}],
		"users": [{"name": "u"}], "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}]
	}`, server.URL), 0o600))
	t.Setenv("KUBECONFIG", config)
	c, version, err := cluster.Connect(t.Context(), "x")
	require.NoError(t, err)
	require.Equal(t, "v1.35.0", version)
	return c
}

func TestKindsAreThoseThatSomebodyCanPutIntoANamespace(t *testing.T) {
	c := connect(t, map[string]string{
		"/version": `{"gitVersion": "v1.35.0"}`,
		"/api/v1": `{"resources": [
			{"name": "configmaps", "kind": "ConfigMap", "namespaced": true, "verbs": ["create", "delete", "list"]},
			{"name": "bindings", "kind": "Binding", "namespaced": true, "verbs": ["create"]},
			{"name": "pods/exec", "kind": "PodExecOptions", "namespaced": true, "verbs": ["create", "delete", "list"]},
			{"name": "nodes", "kind": "Node", "namespaced": false, "verbs": ["create", "delete", "list"]}]}`,
		"/apis": `{"groups": [
			{"name": "networking.istio.io", "preferredVersion": {"groupVersion": "networking.istio.io/v1"},
				"versions": [{"groupVersion": "networking.istio.io/v1"}, {"groupVersion": "networking.istio.io/v1alpha3"}]},
			{"name": "metrics.k8s.io", "preferredVersion": {"groupVersion": "metrics.k8s.io/v1beta1"},
				"versions": [{"groupVersion": "metrics.k8s.io/v1beta1"}]}]}`,
		"/apis/networking.istio.io/v1": `{"resources": [
			{"name": "gateways", "kind": "Gateway", "namespaced": true, "verbs": ["create", "delete", "list"]}]}`,
		"/apis/networking.istio.io/v1alpha3": `{"resources": [
			{"name": "gateways", "kind": "Gateway", "namespaced": true, "verbs": ["create", "delete", "list"]},
			{"name": "envoyfilters", "kind": "EnvoyFilter", "namespaced": true, "verbs": ["create", "delete", "list"]}]}`,
		"/apis/metrics.k8s.io/v1beta1": "", // its server is down
	})
	kinds, err := c.Mapper.Kinds(t.Context())
	require.NoError(t, err)
	require.Equal(t, []schema.GroupVersionKind{
		{Version: "v1", Kind: "ConfigMap"}, {Group: "networking.istio.io", Version: "v1", Kind: "Gateway"},
		{Group: "networking.istio.io", Version: "v1alpha3", Kind: "EnvoyFilter"},
	}, kinds)
}
