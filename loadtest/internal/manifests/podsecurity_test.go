package manifests_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// privileged pods are those that Pod Security would refuse at level restricted, by Kubernetes' own checks, or that can write to their
// image's files.
func privileged(t *testing.T, built objects) (wrong []string) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	require.NoError(t, err)
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for _, d := range typedAll[appsv1.Deployment](t, built.ofKind("Deployment")) {
		pod := d.Spec.Template
		if verdict := policy.AggregateCheckResults(evaluator.EvaluatePod(level, &pod.ObjectMeta, &pod.Spec)); !verdict.Allowed {
			wrong = append(wrong, d.Name+": "+verdict.ForbiddenReason())
		}
		for _, c := range pod.Spec.Containers {
			if own := c.SecurityContext; own == nil || own.ReadOnlyRootFilesystem == nil || !*own.ReadOnlyRootFilesystem {
				wrong = append(wrong, d.Name+": can write to its root file system")
			}
		}
	}
	return wrong
}

// TestNamespaceEnforcement: istio-init is refused by all levels but privileged, and only istio-cni does without it.
func TestNamespaceEnforcement(t *testing.T) {
	level := func(built objects) string {
		return built.named(t, "Namespace", "dev").GetLabels()[api.EnforceLevelLabel]
	}
	require.Equal(t, string(api.LevelPrivileged), level(with(t, "istio-hash")))
	require.Equal(t, string(api.LevelRestricted), level(with(t, "istio-hash", "istio-cni")))
	require.Equal(t, string(api.LevelRestricted), with(t, "istio-hash").named(t, "Namespace", "dev").GetLabels()[api.WarnLevelLabel])
}
