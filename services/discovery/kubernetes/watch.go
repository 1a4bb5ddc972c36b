// Package kubernetes follows the EndpointSlices of one Service: the list that the mesh's control plane makes its endpoints from.
//
// It needs the verbs list and watch on endpointslices in the Service's namespace, and nothing else. It does not ask the pods:
// their readiness is the kubelet's business.
package kubernetes

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/go-logr/logr"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"github.com/smaran-v2/smaran/services/discovery/internal/latest"
	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/internal/apiserver"
)

// Service is a Service and the name of one of its ports.
type Service struct {
	Namespace, Name, Port string
}

// String is namespace/name:port.
func (s Service) String() string { return s.Namespace + "/" + s.Name + ":" + s.Port }

// Watcher follows a Service. It is safe for concurrent use.
type Watcher struct {
	*latest.Sets
	service Service
	log     *slog.Logger
	told    atomic.Pointer[told]
	// synced is closed at the first whole list.
	synced chan struct{}
	sync   sync.Once
	done   chan struct{}
}

// told is what the API server said last: the slices that the list was made of. over is closed once it has said something else.
type told struct {
	slices []*discoveryv1.EndpointSlice
	over   chan struct{}
}

// Watch reads the slices and follows them until ctx ends. It fails with ErrForbidden, or with ErrUnreachable after a while. Later an
// API server that is away is logged, and the last list stays, as in the proxies of a mesh whose control plane is away.
func Watch(ctx context.Context, config *rest.Config, s Service, log *slog.Logger) (*Watcher, error) {
	c, err := newClient(config, s)
	if err != nil {
		return nil, fmt.Errorf("kubernetes: %w", err)
	}
	starting, started := context.WithTimeout(ctx, startTimeout)
	defer started()
	if err := c.preflight(starting, s); err != nil {
		c.api.Close()
		return nil, err
	}
	w := &Watcher{Sets: latest.New(), service: s, log: log, synced: make(chan struct{}), done: make(chan struct{})}
	w.told.Store(&told{over: make(chan struct{})})
	following, stop := context.WithCancel(ctx)
	go func() {
		defer close(w.done)
		defer stop()
		w.follow(following, c)
	}()
	select {
	case <-w.synced:
		return w, nil
	case <-starting.Done():
		stop()
		<-w.done
		return nil, fmt.Errorf("%w with the slices of %s: %w", ErrUnreachable, s, starting.Err())
	}
}

// Done is closed once the context of Watch has ended and nothing of the Watcher is left.
func (w *Watcher) Done() <-chan struct{} { return w.done }

// Once is the list as it will be once the named pods are ready too: slices also have the pods that are not, which are not listed. A pod
// that has no address yet, or that terminates, is not in it.
func (w *Watcher) Once(ready ...string) []endpoints.Endpoint {
	return Merge(w.told.Load().slices, w.service.Port, ready...)
}

// Told is closed when Current or Once may have changed: more often than Changed, which does not tell of pods that are not ready.
func (w *Watcher) Told() <-chan struct{} { return w.told.Load().over }

// follow keeps the list in step until ctx ends.
func (w *Watcher) follow(ctx context.Context, c *client) {
	defer c.api.Close()
	logger := logr.FromSlogHandler(w.log.Handler())
	apiserver.Follow(klog.NewContext(ctx, logger), c, w.service.String(), w.push)
}

// push takes all slices there are.
func (w *Watcher) push(list []*discoveryv1.EndpointSlice) {
	before := w.told.Swap(&told{slices: list, over: make(chan struct{})})
	pods := Merge(list, w.service.Port)
	if w.Put(pods) {
		w.log.Info("endpoints changed", "of", w.service.String(), "version", w.Current().Version, "endpoints", len(pods), "slices", len(list))
	}
	close(before.over)
	w.sync.Do(func() { close(w.synced) })
}
