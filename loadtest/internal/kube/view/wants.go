package view

import (
	"errors"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// Ready says whether a pod is in rotation as far as the kubelet is concerned.
func Ready(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue && p.DeletionTimestamp == nil
		}
	}
	return false
}

// Container is the status of a pod's container, nil before it has one.
func Container(p *corev1.Pod, name string) *corev1.ContainerStatus {
	for i := range p.Status.ContainerStatuses {
		if c := &p.Status.ContainerStatuses[i]; c.Name == name {
			return c
		}
	}
	return nil
}

// RolledOut says what a Deployment lacks until all its pods are of its current template and available, in the number that it asks
// for; "" once nothing does. It is what `kubectl rollout status` waits for.
func RolledOut(d *appsv1.Deployment) string {
	if d == nil {
		return "the Deployment to be made"
	}
	want := int32(1)
	if d.Spec.Replicas != nil {
		want = *d.Spec.Replicas
	}
	s := d.Status
	switch {
	case s.ObservedGeneration < d.Generation:
		return fmt.Sprintf("the change of %s to be noticed", d.Name)
	case s.UpdatedReplicas < want:
		return fmt.Sprintf("%s: %d of %d pods are of the new template", d.Name, s.UpdatedReplicas, want)
	case s.Replicas > s.UpdatedReplicas:
		return fmt.Sprintf("%s: %d old pods to go", d.Name, s.Replicas-s.UpdatedReplicas)
	case s.AvailableReplicas < s.UpdatedReplicas:
		return fmt.Sprintf("%s: %d of %d pods are available", d.Name, s.AvailableReplicas, want)
	default:
		return ""
	}
}

// Why a pod will not come up by waiting.
var (
	// ErrImage is returned for an image that can't be had.
	ErrImage = errors.New("the cluster does not have the image")
	// ErrContainer is returned for a container that can't be made.
	ErrContainer = errors.New("a container can't be made")
)

// Trouble is why a pod will not come up by waiting, nil as far as can be seen. It is an ErrImage or ErrContainer. One failed pull is none: the
// kubelet tries again.
func Trouble(p *corev1.Pod) error {
	statuses := append(append([]corev1.ContainerStatus{}, p.Status.InitContainerStatuses...), p.Status.ContainerStatuses...)
	for _, c := range statuses {
		w := c.State.Waiting
		if w == nil {
			continue
		}
		said := strings.TrimSpace(w.Reason + " " + w.Message)
		switch w.Reason {
		case "ImagePullBackOff", "ErrImageNeverPull":
			return fmt.Errorf("%w: pod %s: image %s: %s: load it, such as with `kind load docker-image %s`", ErrImage, p.Name, c.Image, said, c.Image)
		case "InvalidImageName":
			return fmt.Errorf("%w: pod %s: image %s: %s", ErrImage, p.Name, c.Image, said)
		case "CreateContainerConfigError", "CreateContainerError":
			return fmt.Errorf("%w: pod %s: container %s: %s", ErrContainer, p.Name, c.Name, said)
		}
	}
	return nil
}
