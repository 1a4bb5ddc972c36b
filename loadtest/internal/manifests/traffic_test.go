package manifests_test

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/wire"
)

// The second version is the first with another label, whatever the backend made of the first.
func TestVersionsDifferInTheirLabelAlone(t *testing.T) {
	for _, overlay := range []string{"istio-hash", "handoff"} {
		built := with(t, overlay, "versions")
		first := typed[appsv1.Deployment](t, built.named(t, "Deployment", "jarvis"))
		second := typed[appsv1.Deployment](t, built.named(t, "Deployment", "jarvis-v2"))
		require.Equal(t, first.Spec.Template.Spec, second.Spec.Template.Spec)
		require.NotEmpty(t, second.Spec.Template.Spec.Containers)
		require.Equal(t, first.Spec.Template.Annotations, second.Spec.Template.Annotations)
		require.Equal(t, "v1", first.Spec.Template.Labels["version"])
		require.Equal(t, "v2", second.Spec.Template.Labels["version"])
		require.Equal(t, "jarvis", second.Spec.Template.Labels["app"], "both are behind jarvis-service")
		require.NotContains(t, first.Spec.Selector.MatchLabels, "version", "a selector can't be changed")
	}
}

// destinations of a route of jarvis-routing: subset and weight, 0 where none is said.
func destinations(t *testing.T, built objects, name string) map[string]int64 {
	t.Helper()
	list, _, err := unstructured.NestedSlice(route(t, built, "jarvis-routing", name), "route")
	require.NoError(t, err)
	out := map[string]int64{}
	for _, d := range list {
		subset, _, err := unstructured.NestedString(d.(map[string]any), "destination", "subset")
		require.NoError(t, err)
		out[subset], _, err = unstructured.NestedInt64(d.(map[string]any), "weight")
		require.NoError(t, err)
	}
	return out
}

// order of jarvis-routing's routes: the first that matches is taken.
func order(t *testing.T, built objects) (names []string) {
	t.Helper()
	routes, _, err := unstructured.NestedSlice(built.named(t, "VirtualService", "jarvis-routing").Object, "spec", "http")
	require.NoError(t, err)
	for _, r := range routes {
		names = append(names, r.(map[string]any)["name"].(string))
	}
	return names
}

// matched is how a route matches a header.
func matched(t *testing.T, built objects, name, header, how string) string {
	t.Helper()
	matches, _, err := unstructured.NestedSlice(route(t, built, "jarvis-routing", name), "match")
	require.NoError(t, err)
	require.Len(t, matches, 1)
	value, found, err := unstructured.NestedString(matches[0].(map[string]any), "headers", strings.ToLower(header), how)
	require.NoError(t, err)
	require.True(t, found, "%s: %s", name, header)
	return value
}

func TestACanaryByWeightsIsATenthOfTheRequests(t *testing.T) {
	built := with(t, "istio-hash", "canary")
	for _, name := range []string{"events", "session"} {
		require.Equal(t, map[string]int64{"v1": 90, "v2": 10}, destinations(t, built, name), name)
	}
	require.Equal(t, map[string]int64{"": 0}, destinations(t, with(t, "istio-hash"), "session"), "no subset without")
}

func TestAStickyCanaryIsATenthOfTheBuckets(t *testing.T) {
	built := with(t, "istio-hash", "canary-sticky")
	require.Equal(t, []string{"events-v2", "session-v2", "events", "session", "no-session"}, order(t, built))
	for _, name := range []string{"events-v2", "session-v2"} {
		require.Equal(t, map[string]int64{"v2": 0}, destinations(t, built, name), name)
		require.Equal(t, map[string]int64{"v1": 0}, destinations(t, built, strings.TrimSuffix(name, "-v2")), name)
		require.Equal(t, ".+", matched(t, built, name, session.Header, "regex"))
		whole := regexp.MustCompile("^(?:" + matched(t, built, name, wire.HeaderSessionBucket, "regex") + ")$") // as Envoy matches
		var taken []int
		for bucket := range session.Buckets {
			if whole.MatchString(strconv.Itoa(bucket)) {
				taken = append(taken, bucket)
			}
		}
		require.Equal(t, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, taken, name)
	}
	// What differs from the routes of version 1 is where they lead.
	for _, name := range []string{"events", "session"} {
		first, second := route(t, built, "jarvis-routing", name), route(t, built, "jarvis-routing", name+"-v2")
		require.Equal(t, first["timeout"], second["timeout"], name)
		require.Equal(t, first["retries"], second["retries"], name)
	}
}

func TestADarkReleaseIsForWhoSaysSo(t *testing.T) {
	built := with(t, "istio-hash", "dark-release")
	require.Equal(t, []string{"events", "session-dev", "session", "no-session"}, order(t, built))
	require.Equal(t, "dev", matched(t, built, "session-dev", "mode", "exact"))
	require.Equal(t, map[string]int64{"v2": 0}, destinations(t, built, "session-dev"))
	require.Equal(t, map[string]int64{"v1": 0}, destinations(t, built, "session"))
	require.Equal(t, map[string]int64{"v1": 0}, destinations(t, built, "events"))
	require.Equal(t, route(t, built, "jarvis-routing", "session")["retries"], route(t, built, "jarvis-routing", "session-dev")["retries"])
}

// A hop that nobody lets through, or that nobody asks, would break the chain for another reason than the header.
func TestAHopIsBetweenSmaranAndJarvis(t *testing.T) {
	for feature, drops := range map[string]bool{"hop": false, "hop-drops-session": true} {
		built := with(t, "istio-hash", feature)
		require.Equal(t, "http://jarvis-hop", environment(t, built, "smaran-v2")["SMARAN_MESH_URL"])
		hop := typed[appsv1.Deployment](t, built.named(t, "Deployment", "jarvis-hop")).Spec.Template.Spec
		require.Equal(t, []string{"probe", "--forward", "http://jarvis-service"}, hop.Containers[0].Args[:3])
		require.Equal(t, drops, slices.Contains(hop.Containers[0].Args, "--drop-session"))
		require.Contains(t, string(toJSON(t, built.named(t, "AuthorizationPolicy", "jarvis-callers"))), "cluster.local/ns/dev/sa/"+hop.ServiceAccountName)
	}
	require.NotContains(t, string(toJSON(t, with(t, "istio-hash").named(t, "AuthorizationPolicy", "jarvis-callers"))), "jarvis-hop")
}
