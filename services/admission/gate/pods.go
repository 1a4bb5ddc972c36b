package gate

import corev1 "k8s.io/api/core/v1"

// gated is whether the pod needs the condition, and may still come to be in rotation.
func gated(pod *corev1.Pod, gate string) bool {
	if pod.DeletionTimestamp != nil || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return false
	}
	for _, g := range pod.Spec.ReadinessGates {
		if string(g.ConditionType) == gate {
			return true
		}
	}
	return false
}
