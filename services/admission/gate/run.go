package gate

import (
	"context"
	"log/slog"

	"github.com/go-logr/logr"
	"github.com/jonboulle/clockwork"
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
	API       API
	Clock     clockwork.Clock
	Log       *slog.Logger
}

// Run stands for the Lease, and lets pods in while it has it, until ctx ends. Then it gives the Lease back, and nothing of it is left.
//
// It fails with ErrElection, and with nothing else: what the API server refuses is logged and tried again.
func Run(ctx context.Context, o Options) error {
	if err := o.Election.validate(); err != nil {
		return err
	}
	ctx = klog.NewContext(ctx, logr.FromSlogHandler(o.Log.Handler()))
	for ctx.Err() == nil {
		o.term(ctx)
	}
	return nil
}

// term stands for the Lease once, and works until it is lost or ctx ends.
func (o Options) term(ctx context.Context) {
	e := &elector{Election: o.Election, self: o.Self, leases: o.API, log: o.Log}
	if !e.acquire(ctx) {
		return
	}
	o.Log.InfoContext(ctx, "this pod admits the others", "lease", o.Election.Lease)
	working, stop := context.WithCancel(ctx)
	// The Lease outlives the work, and so ctx: whoever gets it next is to find nobody at it.
	holding, end := context.WithCancel(context.WithoutCancel(ctx))
	over := make(chan struct{})
	go func() {
		defer close(over)
		defer stop()
		e.hold(holding)
	}()
	newAdmitter(o).run(working)
	stop()
	end()
	<-over
	e.release(ctx)
}
