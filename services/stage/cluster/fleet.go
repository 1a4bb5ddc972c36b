package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/jonboulle/clockwork"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"github.com/smaran-v2/smaran/proto/fleet/v1/fleetv1connect"
	"github.com/smaran-v2/smaran/services/discovery/kubernetes"
	"github.com/smaran-v2/smaran/services/internal/apiserver"
)

// What deploy/ calls things.
const (
	appLabel = "app"
	jarvis   = "jarvis"
	smaran   = "smaran-v2"
	redis    = "redis"
	// smaranContainer is that of smaran's pods which runs it.
	smaranContainer = "smaran"

	service  = "jarvis-service"
	portName = "http"
)

// ErrStart is returned by Open where the cluster can't be looked at, wrapped with what was missing.
var ErrStart = errors.New("cluster: can't look at the fleet")

// Options of a Fleet. All but Controls are needed.
type Options struct {
	// API is the way to the API server; kubernetes.InCluster is a pod's.
	API       *rest.Config
	Namespace string
	// Controls lets it change the fleet, as far as the API server does.
	Controls bool
	Clock    clockwork.Clock
	Log      *slog.Logger
}

// Fleet is the one in a namespace. It is safe for concurrent use.
type Fleet struct {
	fleetv1connect.UnimplementedFleetServiceHandler

	options Options
	server  *server
	pods    *apiserver.Pods
	slices  *kubernetes.Watcher
	// chose is what chooser said last.
	chose atomic.Pointer[corev1.Pod]
	// initial is how many pods there were to be at the start.
	initial int
	// changing is held by the change that is under way.
	changing sync.Mutex
	done     chan struct{}
}

// startTimeout bounds Open: a sidecar that is not up yet takes a few seconds.
const startTimeout = 20 * time.Second

// Open looks at a fleet until ctx ends. It fails with ErrStart, or as kubernetes.Watch does.
func Open(ctx context.Context, o Options) (*Fleet, error) {
	s, err := newServer(o.API, o.Namespace)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStart, err)
	}
	following, stop := context.WithCancel(ctx)
	slices, err := kubernetes.Watch(following, o.API, kubernetes.Service{Namespace: o.Namespace, Name: service, Port: portName}, o.Log)
	if err != nil {
		stop()
		s.close()
		return nil, err
	}
	f := &Fleet{options: o, server: s, pods: apiserver.NewPods(), slices: slices, done: make(chan struct{})}
	_, listed := f.pods.Look()
	go func() {
		defer close(f.done)
		defer stop()
		logged := klog.NewContext(following, logr.FromSlogHandler(o.Log.Handler()))
		f.pods.Follow(logged, s.pods(appLabel+" in ("+jarvis+","+smaran+","+redis+")"), "pods of the fleet")
		<-slices.Done()
		s.close()
	}()
	if err := f.begin(following, listed); err != nil {
		stop()
		<-f.done
		return nil, err
	}
	return f, nil
}

// begin reads how large the fleet is to be, and waits for the first list.
func (f *Fleet) begin(ctx context.Context, listed <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	d, err := f.server.deployment(ctx, jarvis)
	if err != nil {
		return fmt.Errorf("%w: %w; its Role needs get on the deployment %s", ErrStart, err, jarvis)
	}
	f.initial = replicas(d.Spec.Replicas)
	select {
	case <-listed:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: no list of pods; its Role needs list and watch on pods: %w", ErrStart, ctx.Err())
	}
}

// Done is closed once Open's context has ended and nothing of the Fleet is left.
func (f *Fleet) Done() <-chan struct{} { return f.done }
