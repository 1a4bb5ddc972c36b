package gate

import (
	"context"
	"encoding/json"
	"errors"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/smaran-v2/smaran/services/admission"
)

const (
	// reason stands in the condition.
	reason = "Prepared"
	// manager is who owns the field, for the API server.
	manager = "jarvis-admission"
)

// errGone: there is no pod of that name any more.
var errGone = errors.New("the pod is gone")

// set sets the pod's condition to True. It fails with errGone, or as the API server does.
//
// The uid is in the patch so that the API server refuses it for another pod of the name, as the kubelet does it (PatchPodStatus in
// k8s.io/kubernetes/pkg/util/pod). Strategic, because that merges conditions by their type and leaves the kubelet's alone.
func (a *admitter) set(ctx context.Context, pod *corev1.Pod, message string) error {
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": pod.UID},
		"status": map[string]any{"conditions": []corev1.PodCondition{{
			Type: corev1.PodConditionType(a.Gate), Status: corev1.ConditionTrue,
			LastTransitionTime: metav1.NewTime(a.Clock.Now()), Reason: reason, Message: message,
		}}},
	})
	if err != nil {
		return err
	}
	ctx, cancel := admission.Within(ctx, a.Clock, apiTime)
	defer cancel()
	err = a.API.PatchPodStatus(ctx, pod.Name, patch)
	if apierrors.IsNotFound(err) {
		return errGone
	}
	return err
}
