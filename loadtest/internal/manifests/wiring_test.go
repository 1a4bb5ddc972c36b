package manifests_test

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/smaran-v2/smaran/loadtest/internal/manifests"
	"github.com/smaran-v2/smaran/proto/jarvis/v1/jarvisv1connect"
	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/jarvis"
	"github.com/smaran-v2/smaran/services/mesh"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/smaran"
	"github.com/smaran-v2/smaran/services/smaran/backend"
	"github.com/smaran-v2/smaran/services/stage/program"
	"github.com/smaran-v2/smaran/services/turn"
	"github.com/smaran-v2/smaran/services/wire"
)

const maglevOverlay = "istio-hash-maglev"

func TestThereIsAnOverlayForEachBackend(t *testing.T) {
	want := []string{maglevOverlay}
	for _, name := range backend.Names() {
		want = append(want, string(name))
	}
	require.ElementsMatch(t, want, directories(t, "overlays"))
}

// TestOverlaysRenderTheSameObjects: a change of backend is one apply, and leaves nothing to prune.
func TestOverlaysRenderTheSameObjects(t *testing.T) {
	names := func(built objects) (names []string) {
		for _, object := range built {
			names = append(names, object.GetKind()+" "+object.GetName())
		}
		return names
	}
	want := names(with(t, "istio-hash"))
	for _, overlay := range directories(t, "overlays") {
		require.ElementsMatch(t, want, names(with(t, overlay)), overlay)
	}
	require.NotEqual(t, len(want), len(with(t, "istio-hash", "network-policy")))
}

// TestBackendAgreesWithTheMesh: what smaran is told of the mesh is what the mesh is told to do.
func TestBackendAgreesWithTheMesh(t *testing.T) {
	for _, overlay := range directories(t, "overlays") {
		t.Run(overlay, func(t *testing.T) {
			built := with(t, overlay)
			env := environment(t, built, "smaran-v2")
			name, err := backend.ParseName(env[smaran.EnvPrefix+"BACKEND"])
			require.NoError(t, err)
			policy := mesh.Policy(env[smaran.EnvPrefix+"MESH_POLICY"])
			require.NoError(t, name.CheckMesh(policy))
			require.Equal(t, policy, policyOf(t, built))
			if overlay == maglevOverlay {
				require.Equal(t, mesh.Maglev, policy)
				require.Equal(t, backend.IstioHash, name)
			} else {
				require.Equal(t, overlay, string(name))
			}
		})
	}
}

// policyOf reads it from the labels of jarvis-service and from its DestinationRule, as Istio does.
func policyOf(t *testing.T, built objects) mesh.Policy {
	t.Helper()
	labels := built.named(t, "Service", "jarvis-service").GetLabels()
	balancer, found, err := unstructured.NestedMap(
		built.named(t, "DestinationRule", "jarvis-consistent-hash").Object, "spec", "trafficPolicy", "loadBalancer")
	require.NoError(t, err)
	require.True(t, found)
	hash, hashes := balancer["consistentHash"].(map[string]any)
	if hashes {
		require.Equal(t, strings.ToLower(session.Header), hash["httpHeaderName"])
		if table, is := hash["maglev"].(map[string]any); is {
			require.EqualValues(t, affinity.DefaultTableSize, table["tableSize"])
			return mesh.Maglev
		}
		return mesh.Ring
	}
	require.Equal(t, "LEAST_REQUEST", balancer["simple"])
	if header, ok := labels["istio.io/persistent-session-header"]; ok {
		require.Equal(t, strings.ToLower(wire.HeaderStateful), header)
		return mesh.StatefulByHeader
	}
	if cookie, ok := labels["istio.io/persistent-session"]; ok {
		require.Equal(t, wire.CookieStateful, cookie)
		return mesh.StatefulByCookie
	}
	return mesh.LeastRequest
}

func TestRingSizeIsToldToAll(t *testing.T) {
	built := with(t, "istio-hash", "ring-size")
	size, found, err := unstructured.NestedInt64(built.named(t, "DestinationRule", "jarvis-consistent-hash").Object,
		"spec", "trafficPolicy", "loadBalancer", "consistentHash", "ringHash", "minimumRingSize")
	require.NoError(t, err)
	require.True(t, found)
	require.EqualValues(t, 10240, size)
	require.Equal(t, "10240", environment(t, built, "smaran-v2")["SMARAN_RING_SIZE"])
	require.Equal(t, "10240", environment(t, built, "jarvis")["JARVIS_RING_SIZE"])
	_, found, err = unstructured.NestedFieldNoCopy(with(t, "istio-hash").named(t, "DestinationRule", "jarvis-consistent-hash").Object,
		"spec", "trafficPolicy", "loadBalancer", "consistentHash", "ringHash", "minimumRingSize")
	require.NoError(t, err)
	require.False(t, found, "Envoy's own, %d", affinity.DefaultMinRingSize)
}

func TestPeersAreAddressedByTheirCookie(t *testing.T) {
	service := typed[corev1.Service](t, with(t, "istio-hash").named(t, "Service", "jarvis-peers"))
	require.Equal(t, wire.CookiePeer, service.Labels["istio.io/persistent-session"])
	require.True(t, service.Spec.PublishNotReadyAddresses)
	require.Zero(t, attempts(t, "jarvis-peers", "addressed"), "a retry ignores the address")
}

// A caller is not spared what the death of smaran costs, wherever it asks from.
func TestRequestsToSmaranAreNotRetried(t *testing.T) {
	require.Zero(t, attempts(t, "smaran-v2", "all"))
	require.Zero(t, attempts(t, "smaran-routing", "all"))
}

// attempts are how often a route retries, which has to be said: Istio does so twice by itself.
func attempts(t *testing.T, service, name string) int64 {
	t.Helper()
	n, found, err := unstructured.NestedInt64(route(t, with(t, "istio-hash"), service, name), "retries", "attempts")
	require.NoError(t, err)
	require.True(t, found)
	return n
}

// strangeVariables would keep a program from starting: it accepts no unknown one with its prefix.
func strangeVariables(t *testing.T, built objects) (wrong []string) {
	known := slices.Concat(variables[smaran.Config](smaran.EnvPrefix), variables[jarvis.Config](jarvis.EnvPrefix), variables[turn.Config](turn.EnvPrefix),
		variables[program.Config](program.EnvPrefix))
	prefixes := []string{smaran.EnvPrefix, jarvis.EnvPrefix, turn.EnvPrefix, program.EnvPrefix}
	for _, d := range typedAll[appsv1.Deployment](t, built.ofKind("Deployment")) {
		for _, v := range d.Spec.Template.Spec.Containers[0].Env {
			ours := slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(v.Name, prefix) })
			if ours && !slices.Contains(known, v.Name) {
				wrong = append(wrong, d.Name+": "+v.Name)
			}
		}
	}
	return wrong
}

func variables[Config any](prefix string) (names []string) {
	for field := range reflect.TypeFor[Config]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("env"), ",")
		names = append(names, prefix+name)
	}
	return names
}

// TestGraceCoversTheDrain: what a pod does from its deletion on must fit terminationGracePeriodSeconds, or calls are cut.
func TestGraceCoversTheDrain(t *testing.T) {
	const jarvisCloses, sidecarEnds = 10 * time.Second, 5 * time.Second // jarvis: shutdownGrace + closeTimeout
	for _, overlay := range directories(t, "overlays") {
		built := with(t, overlay)
		for name, after := range map[string]time.Duration{
			"jarvis":    duration(t, environment(t, built, "jarvis")["JARVIS_DRAIN_TIMEOUT"]) + jarvisCloses + sidecarEnds,
			"smaran-v2": duration(t, environment(t, built, "smaran-v2")["SMARAN_SHUTDOWN_GRACE"]) + sidecarEnds,
		} {
			pod := typed[appsv1.Deployment](t, built.named(t, "Deployment", name)).Spec.Template.Spec
			preStop := time.Duration(pod.Containers[0].Lifecycle.PreStop.Sleep.Seconds) * time.Second
			require.Positive(t, preStop, "%s of %s", name, overlay)
			require.GreaterOrEqual(t, time.Duration(*pod.TerminationGracePeriodSeconds)*time.Second, preStop+after, "%s of %s", name, overlay)
		}
	}
}

func TestRoutesOfASession(t *testing.T) {
	strict := with(t, "istio-hash")
	events, session := route(t, strict, "jarvis-routing", "events"), route(t, strict, "jarvis-routing", "session")
	require.NotContains(t, events, "timeout", "Istio's way to say none")
	require.Equal(t, "300s", session["timeout"])
	matches, _, err := unstructured.NestedSlice(events, "match")
	require.NoError(t, err)
	path, _, err := unstructured.NestedString(matches[0].(map[string]any), "uri", "exact")
	require.NoError(t, err)
	require.Equal(t, jarvisv1connect.JarvisServiceWatchProcedure, path)

	// Strict answers as smaran itself would.
	refusal := route(t, strict, "jarvis-routing", "no-session")
	body, _, err := unstructured.NestedString(refusal, "directResponse", "body", "string")
	require.NoError(t, err)
	golden, err := os.ReadFile("../../../services/smaran/internal/edge/testdata/problems/session_missing.json")
	require.NoError(t, err)
	require.JSONEq(t, string(golden), body)
	var problem wire.Problem
	require.NoError(t, json.Unmarshal([]byte(body), &problem))
	status, _, err := unstructured.NestedInt64(refusal, "directResponse", "status")
	require.NoError(t, err)
	require.EqualValues(t, problem.Status, status)
	contentType, _, err := unstructured.NestedString(refusal, "headers", "response", "set", "content-type")
	require.NoError(t, err)
	require.Equal(t, wire.ContentTypeProblem, contentType)

	lenient := route(t, with(t, "istio-hash", "routing-lenient"), "jarvis-routing", "no-session")
	require.NotContains(t, lenient, "directResponse")
	require.Contains(t, lenient, "route")
}

// TestCallersExist: a principal that no pod runs as is a slip of the pen, and would be a 403.
func TestCallersExist(t *testing.T) {
	built := with(t, "istio-hash", "debug")
	rules, _, err := unstructured.NestedSlice(built.named(t, "AuthorizationPolicy", "jarvis-callers").Object, "spec", "rules")
	require.NoError(t, err)
	require.Len(t, rules, 1)
	from, _, err := unstructured.NestedSlice(rules[0].(map[string]any), "from")
	require.NoError(t, err)
	principals, _, err := unstructured.NestedStringSlice(from[0].(map[string]any), "source", "principals")
	require.NoError(t, err)
	require.NotEmpty(t, principals)
	var accounts []string
	for _, d := range typedAll[appsv1.Deployment](t, built.ofKind("Deployment")) {
		accounts = append(accounts, d.Spec.Template.Spec.ServiceAccountName)
	}
	for _, principal := range principals {
		if account, ours := strings.CutPrefix(principal, "cluster.local/ns/dev/sa/"); ours {
			require.Contains(t, accounts, account)
			built.named(t, "ServiceAccount", account)
		} else {
			require.Equal(t, "cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account", principal)
		}
	}
}

// TestWhatPodsSayToOneAnotherIsTheirs: a path that is written wrong would be open to whoever may call jarvis.
func TestWhatPodsSayToOneAnotherIsTheirs(t *testing.T) {
	built := with(t, "handoff")
	policy := built.named(t, "AuthorizationPolicy", "jarvis-handoff").Object
	action, _, err := unstructured.NestedString(policy, "spec", "action")
	require.NoError(t, err)
	require.Equal(t, "DENY", action)
	rules, _, err := unstructured.NestedSlice(policy, "spec", "rules")
	require.NoError(t, err)
	account := typed[appsv1.Deployment](t, built.named(t, "Deployment", "jarvis")).Spec.Template.Spec.ServiceAccountName
	require.Equal(t, []any{map[string]any{
		"from": []any{map[string]any{"source": map[string]any{"notPrincipals": []any{"cluster.local/ns/dev/sa/" + account}}}},
		"to": []any{map[string]any{"operation": map[string]any{"ports": []any{"8080"}, "paths": []any{
			jarvisv1connect.JarvisServiceHandoffProcedure, jarvisv1connect.JarvisServiceClaimProcedure, jarvisv1connect.JarvisServicePrepareProcedure,
		}}}},
	}}, rules)
}

// environment is that of a Deployment's own container.
func environment(t *testing.T, built objects, deployment string) map[string]string {
	t.Helper()
	env := map[string]string{}
	for _, v := range typed[appsv1.Deployment](t, built.named(t, "Deployment", deployment)).Spec.Template.Spec.Containers[0].Env {
		env[v.Name] = v.Value
	}
	return env
}

func duration(t *testing.T, s string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(s)
	require.NoError(t, err)
	return d
}

// route of a VirtualService, by its name.
func route(t *testing.T, built objects, service, name string) map[string]any {
	t.Helper()
	routes, _, err := unstructured.NestedSlice(built.named(t, "VirtualService", service).Object, "spec", "http")
	require.NoError(t, err)
	i := slices.IndexFunc(routes, func(r any) bool { return r.(map[string]any)["name"] == name })
	require.GreaterOrEqual(t, i, 0, "%s has no route %s", service, name)
	return routes[i].(map[string]any)
}

// TestTracesFindTheCollector: pods of dev are told of a Service that is there, and look for what tells them.
func TestTracesFindTheCollector(t *testing.T) {
	observed, err := manifests.Render(deploy + "/variants/observability")
	require.NoError(t, err)
	told := typed[corev1.ConfigMap](t, objects(observed).named(t, "ConfigMap", "telemetry"))
	require.Equal(t, "dev", told.Namespace)
	collector := typed[corev1.Service](t, objects(observed).named(t, "Service", "otel-collector"))
	require.Equal(t, fmt.Sprintf("http://%s.%s:%d", collector.Name, collector.Namespace, collector.Spec.Ports[0].Port),
		told.Data["OTEL_EXPORTER_OTLP_ENDPOINT"])
	for _, name := range []string{"jarvis", "smaran-v2"} {
		from := typed[appsv1.Deployment](t, with(t, "istio-hash").named(t, "Deployment", name)).Spec.Template.Spec.Containers[0].EnvFrom
		require.Len(t, from, 1, name)
		require.Equal(t, told.Name, from[0].ConfigMapRef.Name)
		require.True(t, *from[0].ConfigMapRef.Optional, "%s starts without it, too", name)
	}
}
