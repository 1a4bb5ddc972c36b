package view_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/smaran-v2/smaran/loadtest/internal/kube/view"
)

func TestWhatWaitingDoesNotCure(t *testing.T) {
	for reason, c := range map[string]struct {
		want error
		load bool
	}{
		"ContainerCreating": {}, "PodInitializing": {}, "CrashLoopBackOff": {},
		"ErrImagePull":               {}, // it is pulled again
		"ImagePullBackOff":           {view.ErrImage, true},
		"ErrImageNeverPull":          {view.ErrImage, true},
		"InvalidImageName":           {view.ErrImage, false},
		"CreateContainerConfigError": {view.ErrContainer, false},
		"CreateContainerError":       {view.ErrContainer, false},
	} {
		p := &corev1.Pod{}
		p.Name = "jarvis-1"
		p.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "istio-proxy"}}
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{
			Name: "jarvis", Image: "jarvis:dev", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: "so it is"}},
		}}
		err := view.Trouble(p)
		require.ErrorIs(t, err, c.want, reason)
		if c.want == nil {
			continue
		}
		require.ErrorContains(t, err, "pod jarvis-1: ")
		require.ErrorContains(t, err, reason+" so it is")
		if c.load {
			require.ErrorContains(t, err, "kind load docker-image jarvis:dev")
		} else {
			require.NotContains(t, err.Error(), "kind load", reason)
		}
	}
}
