// Package view holds what a namespace's pods, Deployments and endpoints are right now, from watches, and lets others wait for what they
// should become. It changes nothing.
package view

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/smaran-v2/smaran/loadtest/internal/kube/cluster"
)

// ErrWaited is returned where what was waited for did not come; the error says how things stood last.
var ErrWaited = errors.New("waited in vain")

// State is a namespace at one moment. It is shared: don't change what it points to.
type State struct {
	Pods        map[string]*corev1.Pod
	Deployments map[string]*appsv1.Deployment
	Slices      map[string]*discoveryv1.EndpointSlice
}

// PodsOf are the pods of an app (label app), oldest first; those that are being deleted come along.
func (s State) PodsOf(app string) []*corev1.Pod {
	var out []*corev1.Pod
	for _, p := range s.Pods {
		if p.Labels["app"] == app {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b *corev1.Pod) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// SlicesOf are the EndpointSlices of a Service, by name.
func (s State) SlicesOf(service string) []*discoveryv1.EndpointSlice {
	var out []*discoveryv1.EndpointSlice
	for _, name := range slices.Sorted(maps.Keys(s.Slices)) {
		if slice := s.Slices[name]; slice.Labels[discoveryv1.LabelServiceName] == service {
			out = append(out, slice)
		}
	}
	return out
}

// View follows one namespace until Close.
type View struct {
	stop context.CancelFunc
	done sync.WaitGroup
	log  *slog.Logger

	mu      sync.Mutex
	state   State
	changed chan struct{}
}

// Follow reads the namespace, and follows it. onSlices, optional, is called at each change of an EndpointSlice, one call at a time, with the
// view locked; it must not wait. It fails with cluster.ErrForbidden, or when ctx ends first.
func Follow(ctx context.Context, c *cluster.Client, namespace string, log *slog.Logger, onSlices func(State)) (*View, error) {
	following, stop := context.WithCancel(context.WithoutCancel(ctx))
	v := &View{
		stop: stop, log: log, changed: make(chan struct{}),
		state: State{Pods: map[string]*corev1.Pod{}, Deployments: map[string]*appsv1.Deployment{}, Slices: map[string]*discoveryv1.EndpointSlice{}},
	}
	logger := logr.FromSlogHandler(log.Handler())
	following = klog.NewContext(following, logger)
	synced := []cache.InformerSynced{}
	for _, begin := range []func() (cache.InformerSynced, error){
		func() (cache.InformerSynced, error) {
			return follow(ctx, following, v, c, namespace, cluster.Pods(), func() map[string]*corev1.Pod { return v.state.Pods }, nil)
		},
		func() (cache.InformerSynced, error) {
			return follow(ctx, following, v, c, namespace, cluster.Deployments(), func() map[string]*appsv1.Deployment { return v.state.Deployments }, nil)
		},
		func() (cache.InformerSynced, error) {
			return follow(ctx, following, v, c, namespace, cluster.EndpointSlices(), func() map[string]*discoveryv1.EndpointSlice { return v.state.Slices }, onSlices)
		},
	} {
		s, err := begin()
		if err != nil {
			v.Close()
			return nil, err
		}
		synced = append(synced, s)
	}
	if !cache.WaitForCacheSync(ctx.Done(), synced...) {
		v.Close()
		return nil, fmt.Errorf("read namespace %s: %w", namespace, context.Cause(ctx))
	}
	return v, nil
}

// follow keeps into as the cluster has it.
func follow[T any](ctx, following context.Context, v *View, c *cluster.Client, namespace string, kind cluster.Kind[T], into func() map[string]*T, then func(State)) (cache.InformerSynced, error) {
	if _, err := kind.List(ctx, c, namespace, ""); err != nil { // a reflector would only repeat the refusal in a log
		return nil, err
	}
	in := kind.In(c, namespace)
	lw := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return in.List(ctx, o) },
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return in.Watch(ctx, o)
		},
	}
	put := func(object any) {
		u, ok := object.(*unstructured.Unstructured)
		if !ok {
			return
		}
		typed, err := kind.From(u)
		if err != nil {
			v.log.Error("an object is left out", "error", err)
			return
		}
		v.change(func() { into()[u.GetName()] = typed }, then)
	}
	_, controller := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: cache.ToListWatcherWithWatchListSemantics(lw, c.Dynamic),
		ObjectType:    &unstructured.Unstructured{},
		Handler: cache.ResourceEventHandlerFuncs{
			AddFunc:    put,
			UpdateFunc: func(_, now any) { put(now) },
			DeleteFunc: func(object any) {
				if key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(object); err == nil {
					_, name, _ := cache.SplitMetaNamespaceKey(key)
					v.change(func() { delete(into(), name) }, then)
				}
			},
		},
	})
	v.done.Go(func() { controller.RunWithContext(following) })
	return controller.HasSynced, nil
}

func (v *View) change(do func(), then func(State)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	do()
	if then != nil {
		then(v.state.copy())
	}
	close(v.changed)
	v.changed = make(chan struct{})
}

func (s State) copy() State {
	return State{Pods: maps.Clone(s.Pods), Deployments: maps.Clone(s.Deployments), Slices: maps.Clone(s.Slices)}
}

// Now is the state as it is.
func (v *View) Now() State {
	s, _ := v.look()
	return s
}

func (v *View) look() (State, <-chan struct{}) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.state.copy(), v.changed
}

// Await waits until want says nothing. While it waits, want says what is missing. It fails with ErrWaited and the last of that when ctx
// ends, and with want's own error at once.
func (v *View) Await(ctx context.Context, want func(State) (missing string, err error)) error {
	for {
		state, changed := v.look()
		missing, err := want(state)
		if missing == "" || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%w for %s: %w", ErrWaited, missing, context.Cause(ctx))
		}
	}
}

// Close ends the watches, and returns when they have.
func (v *View) Close() {
	v.stop()
	v.done.Wait()
}
