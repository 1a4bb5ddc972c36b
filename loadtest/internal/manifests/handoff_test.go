package manifests_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"istio.io/api/annotation"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/smaran-v2/smaran/loadtest/internal/kube/overlay"
	"github.com/smaran-v2/smaran/services/admission/gate"
	"github.com/smaran-v2/smaran/services/discovery"
	"github.com/smaran-v2/smaran/services/jarvis"
	"github.com/smaran-v2/smaran/services/smaran/backend"
)

// TestTheGateIsOpenedByWhoeverHasIt: a gate that no pod knows of would never open, and one that pods only think they have keeps nobody back.
func TestTheGateIsOpenedByWhoeverHasIt(t *testing.T) {
	for _, name := range directories(t, "overlays") {
		built := with(t, name)
		pod := typed[appsv1.Deployment](t, built.named(t, "Deployment", "jarvis")).Spec.Template
		env := environment(t, built, "jarvis")
		if name != string(backend.Handoff) {
			require.Empty(t, pod.Spec.ReadinessGates, name)
			require.NotContains(t, env, jarvis.EnvPrefix+"READINESS_GATE", name)
			require.Nil(t, pod.Spec.AutomountServiceAccountToken, name)
			continue
		}
		require.Len(t, pod.Spec.ReadinessGates, 1)
		require.Equal(t, string(pod.Spec.ReadinessGates[0].ConditionType), env[jarvis.EnvPrefix+"READINESS_GATE"])
		require.True(t, *pod.Spec.AutomountServiceAccountToken)
		require.Equal(t, "true", pod.Annotations[annotation.SidecarNativeSidecar.Name], "or Envoy is gone before the sessions are")

		location, err := discovery.Parse(env[jarvis.EnvPrefix+"ENDPOINTS"])
		require.NoError(t, err)
		service, ok := location.Service()
		require.True(t, ok)
		require.Equal(t, built.named(t, "Deployment", "jarvis").GetNamespace(), service.Namespace)
		admitted := typed[corev1.Service](t, built.named(t, "Service", service.Name))
		require.False(t, admitted.Spec.PublishNotReadyAddresses, "or the gate keeps nobody back")
		require.True(t, slices.ContainsFunc(admitted.Spec.Ports, func(p corev1.ServicePort) bool { return p.Name == service.Port }))
		require.Equal(t, admitted.Spec.Selector, typed[corev1.Service](t, built.named(t, "Service", "jarvis-peers")).Spec.Selector,
			"whoever is admitted can be reached before")
	}
}

// TestTheLeaseIsTheProjects: a comparison keeps a namespace that has anything else in it.
func TestTheLeaseIsTheProjects(t *testing.T) {
	require.Equal(t, map[string]string{overlay.PartOfLabel: overlay.Project}, gate.DefaultElection(nil).Labels)
}

// TestJarvisMayDoWhatItDoes, and nothing else.
func TestJarvisMayDoWhatItDoes(t *testing.T) {
	const anyName = "*"
	for _, name := range directories(t, "overlays") {
		built := with(t, name)
		rights := map[string][]string{}
		for _, rule := range typed[rbacv1.Role](t, built.named(t, "Role", "jarvis")).Rules {
			require.Len(t, rule.APIGroups, 1)
			require.Len(t, rule.Resources, 1)
			names := rule.ResourceNames
			if len(names) == 0 {
				names = []string{anyName}
			}
			for _, of := range names {
				key := rule.APIGroups[0] + "/" + rule.Resources[0] + "/" + of
				rights[key] = append(rights[key], rule.Verbs...)
			}
		}
		want := map[string][]string{}
		if name == string(backend.Handoff) {
			want = map[string][]string{
				discoveryv1.GroupName + "/endpointslices/" + anyName:            {"list", "watch"},
				"/services/jarvis-service":                                      {"get"},
				"/pods/" + anyName:                                              {"list", "watch"},
				"/pods/status/" + anyName:                                       {"patch"},
				"coordination.k8s.io/leases/" + anyName:                         {"create"},
				"coordination.k8s.io/leases/" + gate.DefaultElection(nil).Lease: {"get", "update"},
			}
		}
		require.Equal(t, want, rights, name)
		binding := typed[rbacv1.RoleBinding](t, built.named(t, "RoleBinding", "jarvis"))
		require.Equal(t, "jarvis", binding.RoleRef.Name)
		require.Equal(t, []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: "jarvis", Namespace: binding.Namespace}}, binding.Subjects)
	}
}
