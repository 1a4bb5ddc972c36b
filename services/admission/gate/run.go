package gate

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/go-logr/logr"
	"github.com/jonboulle/clockwork"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientset "k8s.io/client-go/kubernetes"
	coordinationv1 "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"

	"github.com/smaran-v2/smaran/services/admission"
	"github.com/smaran-v2/smaran/services/discovery/kubernetes"
	"github.com/smaran-v2/smaran/services/endpoints"
)

// Endpoints is the Service's list of pods, as a *kubernetes.Watcher has it.
type Endpoints interface {
	// Current is the last list.
	Current() endpoints.Set
	// Once is the list as it will be once the named pods are ready too, without those that have no address yet.
	Once(ready ...string) []endpoints.Endpoint
	// Told is closed when either may have changed. Call it before them.
	Told() <-chan struct{}
}

// Election is the Lease that the one who admits holds. Duration is how long the others wait for one that went without a word, Renewal how
// long a holder that can't renew it goes on, Retry the pause between two tries of either.
type Election struct {
	Lease                    string
	Duration, Renewal, Retry time.Duration
	// Labels of the Lease. They may be nil.
	Labels map[string]string
}

// DefaultElection is short: while nobody holds the Lease nobody is let in. No manifest has the Lease, so it is labelled here like what does.
func DefaultElection() Election {
	return Election{Lease: "jarvis-admission", Duration: 5 * time.Second, Renewal: 3 * time.Second, Retry: time.Second,
		Labels: map[string]string{"app.kubernetes.io/part-of": "smaran"}}
}

// Options of Run. All are needed.
type Options struct {
	// Gate is the type of the condition.
	Gate    string
	Service kubernetes.Service
	// Self is the name of this pod. It holds the Lease under it: a container that is started anew goes on with it.
	Self      string
	Election  Election
	Endpoints Endpoints
	Prepare   admission.Preparer
	Client    clientset.Interface
	// Leases should give up on a call before Renewal is over, or one that hangs loses the Lease.
	Leases coordinationv1.LeasesGetter
	Clock  clockwork.Clock
	Log    *slog.Logger
}

// Run stands for the Lease, and lets pods in while it has it, until ctx ends. Then it gives the Lease back, and nothing of it is left.
//
// It fails where Election makes no sense, and with nothing else: what the API server refuses is logged and tried again.
func Run(ctx context.Context, o Options) error {
	logger := logr.FromSlogHandler(o.Log.Handler())
	ctx = klog.NewContext(ctx, logger)
	for ctx.Err() == nil {
		if err := o.term(ctx); err != nil {
			return fmt.Errorf("election over lease %s: %w", o.Election.Lease, err)
		}
	}
	return nil
}

// term stands for the Lease once, and works until it is lost or ctx ends.
func (o Options) term(ctx context.Context) error {
	led := make(chan context.Context, 1) // its one sender never waits
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: o.Service.Namespace, Name: o.Election.Lease},
			Labels:     o.Election.Labels,
			Client:     o.Leases,
			LockConfig: resourcelock.ResourceLockConfig{Identity: o.Self},
		},
		Name:          o.Election.Lease,
		LeaseDuration: o.Election.Duration, RenewDeadline: o.Election.Renewal, RetryPeriod: o.Election.Retry,
		ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(leading context.Context) { led <- leading },
			OnStoppedLeading: func() {},
		},
	})
	if err != nil {
		return err
	}
	// The Lease outlives the work, and so ctx: whoever gets it next is to find nobody at it.
	holding, release := context.WithCancel(context.WithoutCancel(ctx))
	over := make(chan struct{})
	go func() {
		defer close(over)
		elector.Run(holding)
	}()
	select {
	case leading := <-led:
		o.Log.InfoContext(ctx, "this pod admits the others", "lease", o.Election.Lease)
		working, stop := context.WithCancel(ctx)
		lost := context.AfterFunc(leading, stop)
		newAdmitter(o).run(working)
		lost()
		stop()
	case <-ctx.Done():
	case <-over: // it was lost as soon as it was had
	}
	release()
	<-over
	return nil
}
