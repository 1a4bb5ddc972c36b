package apiserver

import (
	"context"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"
)

// Pods are those of one list, as the API server last told. It is safe for concurrent use.
type Pods struct {
	mu      sync.Mutex
	list    []*corev1.Pod
	changed chan struct{}
}

// NewPods has none until Follow is told.
func NewPods() *Pods { return &Pods{changed: make(chan struct{})} }

// Follow keeps the pods in step with what lists tells until ctx ends, as the function Follow does.
func (p *Pods) Follow(ctx context.Context, lists cache.ListerWatcher, name string) {
	Follow(ctx, lists, name, p.push)
}

// push takes all pods there are.
func (p *Pods) push(list []*corev1.Pod) {
	slices.SortFunc(list, func(a, b *corev1.Pod) int { return strings.Compare(a.Name, b.Name) })
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = list
	close(p.changed)
	p.changed = make(chan struct{})
}

// Look is the list, sorted by name, which must not be changed, and a channel that is closed once there is another. Before the first whole
// list it is empty.
func (p *Pods) Look() ([]*corev1.Pod, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.list, p.changed
}

// Is reports whether a condition of the pod is True.
func Is(pod *corev1.Pod, condition corev1.PodConditionType) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == condition {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
