package istio

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/smaran-v2/smaran/loadtest/internal/claims"
	"github.com/smaran-v2/smaran/loadtest/internal/kube"
)

const deployFolder = "../../../../deploy"

// Nothing of an experiment may reach, or be heard in, the namespace that others use.
func TestStoryLeavesHomeAlone(t *testing.T) {
	for _, c := range [][]string{
		{"istio-hash"}, {"stateful-header"}, {"stateful-cookie"}, {"istio-hash", "versions"}, {"istio-hash", "hop"}, {"istio-hash", "hop-drops-session"},
	} {
		objects, err := story(deployFolder, "claim-0-abc", c[0], append(c[1:], debugAccount)...)
		require.NoError(t, err)
		require.NotEmpty(t, objects)
		for _, o := range objects {
			text, err := json.Marshal(o)
			require.NoError(t, err)
			require.NotContains(t, string(text), `"dev"`, o.GetName())
			require.NotContains(t, string(text), "/dev/", o.GetName())
			require.Equal(t, "claim-0-abc", o.GetNamespace(), o.GetKind()+" "+o.GetName())
			require.NotEqual(t, "Gateway", o.GetKind())
			gateways, _, err := unstructured.NestedStringSlice(o.Object, "spec", "gateways")
			require.NoError(t, err)
			require.Empty(t, gateways)
		}
		_, err = pick(objects, "Deployment "+jarvis, "Deployment "+kube.Smaran, "Service "+kube.JarvisService, "PeerAuthentication default")
		require.NoError(t, err)
		_, err = pick(objects, "Deployment no-such")
		require.ErrorIs(t, err, ErrMissing)
		require.Len(t, without(objects, debugAccount), len(objects)-1)
	}
}

func TestFeaturesThatClaimsNeedRender(t *testing.T) {
	for feature, want := range map[string]string{
		"h2-upgrade": `"UPGRADE"`, "routing-lenient": `"lenient"`, "versions": `"jarvis-v2"`, "canary": `"weight":10`, "canary-sticky": "x-session-bucket",
		"dark-release": `"exact":"dev"`, "hop": `"http://jarvis-hop"`, "hop-drops-session": "--drop-session",
	} {
		plain, err := story(deployFolder, "claim-0-abc", "istio-hash")
		require.NoError(t, err)
		with, err := story(deployFolder, "claim-0-abc", "istio-hash", feature)
		require.NoError(t, err)
		a, err := json.Marshal(plain)
		require.NoError(t, err)
		b, err := json.Marshal(with)
		require.NoError(t, err)
		require.NotEqual(t, string(a), string(b), feature)
		require.NotContains(t, string(a), want, "or the next line can't fail")
		require.Contains(t, string(b), want)
	}
}

func TestProbes(t *testing.T) {
	deployment := func(p probes) appsv1.Deployment {
		o, err := p.object("image:tag")
		require.NoError(t, err)
		require.NotContains(t, o.Object, "status")
		var d appsv1.Deployment
		require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &d))
		for key, value := range d.Spec.Selector.MatchLabels {
			require.Equal(t, value, d.Spec.Template.Labels[key])
		}
		return d
	}
	d := deployment(probes{name: "late", app: jarvis, bare: true})
	require.Equal(t, jarvis, d.Spec.Template.Labels[appLabel])
	require.Equal(t, "false", d.Spec.Template.Labels["sidecar.istio.io/inject"])
	require.EqualValues(t, 1, *d.Spec.Replicas)
	require.Nil(t, d.Spec.Template.Spec.Containers[0].Lifecycle)

	d = deployment(probes{name: jarvis, replicas: 3, preStop: claimedSleep, grace: claimedGrace, proxy: published()})
	require.EqualValues(t, claimedSleep, d.Spec.Template.Spec.Containers[0].Lifecycle.PreStop.Sleep.Seconds)
	require.EqualValues(t, claimedGrace, *d.Spec.Template.Spec.TerminationGracePeriodSeconds)
	require.Contains(t, d.Spec.Template.Annotations["proxy.istio.io/config"], "cluster.outbound")
	require.NotContains(t, d.Spec.Template.Labels, "sidecar.istio.io/inject")
}

func TestEveryMeshClaimHasAnExperiment(t *testing.T) {
	require.True(t, slices.IsSorted(Claims()))
	for _, d := range claims.All() {
		if d.Place == claims.PlaceMesh {
			require.Contains(t, Claims(), d.Number)
		}
	}
}
