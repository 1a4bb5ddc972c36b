package cluster

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	"github.com/smaran-v2/smaran/services/endpoints"
)

// pods are all of the fleet, as the API server told last.
type pods struct {
	mu      sync.Mutex
	list    []*corev1.Pod
	changed chan struct{}
	// synced is closed at the first whole list.
	synced chan struct{}
	once   sync.Once
}

func newPods() *pods { return &pods{changed: make(chan struct{}), synced: make(chan struct{})} }

// follow keeps the list in step until ctx ends. A watch that breaks is resumed, with a back-off.
func (p *pods) follow(ctx context.Context, lists cache.ListerWatcher) {
	logger := klog.FromContext(ctx)
	cache.NewReflectorWithOptions(lists, &corev1.Pod{}, cache.NewUndeltaStore(p.push, cache.MetaNamespaceKeyFunc),
		cache.ReflectorOptions{Name: "pods of the fleet", Logger: &logger}).RunWithContext(ctx)
}

// push takes all pods there are.
func (p *pods) push(objects []any) {
	list := make([]*corev1.Pod, 0, len(objects))
	for _, o := range objects {
		if pod, ok := o.(*corev1.Pod); ok {
			list = append(list, pod)
		}
	}
	slices.SortFunc(list, func(a, b *corev1.Pod) int { return strings.Compare(a.Name, b.Name) })
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = list
	close(p.changed)
	p.changed = make(chan struct{})
	p.once.Do(func() { close(p.synced) })
}

// of are those of an app, sorted by name, and a channel that is closed once something has changed. They must not be changed.
func (p *pods) of(app string) ([]*corev1.Pod, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []*corev1.Pod
	for _, pod := range p.list {
		if pod.Labels[appLabel] == app {
			out = append(out, pod)
		}
	}
	return out, p.changed
}

// keepVersions is how many versions of the endpoints are told of.
const keepVersions = 512

// ledger are the versions of the endpoints, each with the time at which it was heard of.
type ledger struct {
	mu      sync.Mutex
	history []*fleetv1.Endpoints
}

func (l *ledger) note(set endpoints.Set, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := &fleetv1.Endpoints{Version: 1, Written: timestamppb.New(now)}
	if last := len(l.history); last > 0 {
		e.Version = l.history[last-1].GetVersion() + 1
	}
	for _, p := range set.Endpoints {
		e.Endpoints = append(e.Endpoints, &fleetv1.Endpoint{Pod: p.Pod, Address: p.Address, Health: p.Health.String()})
	}
	l.history = append(l.history, e)
	if over := len(l.history) - keepVersions; over > 0 {
		l.history = slices.Clone(l.history[over:])
	}
}

// all is oldest first.
func (l *ledger) all() []*fleetv1.Endpoints {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.history)
}

// last is nil before the first.
func (l *ledger) last() *fleetv1.Endpoints {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.history) == 0 {
		return nil
	}
	return l.history[len(l.history)-1]
}
