package gate

import (
	"context"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// pods are those of one selector, as the API server last told.
type pods struct {
	mu      sync.Mutex
	list    []*corev1.Pod
	changed chan struct{}
}

func newPods() *pods { return &pods{changed: make(chan struct{})} }

// follow keeps the list in step until ctx ends. A watch that breaks is resumed, with a back-off.
func (p *pods) follow(ctx context.Context, lists cache.ListerWatcher, selector string) {
	logger := klog.FromContext(ctx)
	cache.NewReflectorWithOptions(lists, &corev1.Pod{}, cache.NewUndeltaStore(p.push, cache.MetaNamespaceKeyFunc),
		cache.ReflectorOptions{Name: "pods with " + selector, Logger: &logger}).RunWithContext(ctx)
}

// push takes all pods there are.
func (p *pods) push(objects []any) {
	list := make([]*corev1.Pod, 0, len(objects))
	for _, o := range objects {
		if pod, ok := o.(*corev1.Pod); ok {
			list = append(list, pod)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = list
	close(p.changed)
	p.changed = make(chan struct{})
}

// look is the list, which must not be changed, and a channel that is closed once there is another.
func (p *pods) look() ([]*corev1.Pod, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.list, p.changed
}

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

// is whether a condition of the pod is True.
func is(pod *corev1.Pod, condition corev1.PodConditionType) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == condition {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
