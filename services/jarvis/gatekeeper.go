package jarvis

import (
	"context"
	"fmt"

	"github.com/jonboulle/clockwork"

	"github.com/smaran-v2/smaran/services/admission"
	"github.com/smaran-v2/smaran/services/admission/gate"
	"github.com/smaran-v2/smaran/services/discovery/kubernetes"
)

// gatekeeper is a pod's part in letting others into rotation. The nil pointer is a pod that has none.
type gatekeeper struct {
	options gate.Options
	server  *gate.Server
}

// newGatekeeper fails outside a cluster, with kubernetes.ErrNoCluster.
func newGatekeeper(cfg Config, f *following, clock clockwork.Clock) (*gatekeeper, error) {
	service, _ := cfg.Endpoints.Service()
	list, ok := f.source.(*kubernetes.Watcher)
	if !ok {
		return nil, fmt.Errorf("%sREADINESS_GATE needs a Service's list of pods, not that of %s", EnvPrefix, cfg.Endpoints)
	}
	server, err := kubernetes.InCluster()
	if err != nil {
		return nil, err
	}
	election := gate.DefaultElection(clock)
	k := &gatekeeper{}
	if k.server, err = gate.NewServer(server, service.Namespace, election.Renewal/2); err != nil {
		return nil, err
	}
	k.options = gate.Options{
		Gate: cfg.ReadinessGate, Service: service, Self: f.options.Self.Name, Election: election, Endpoints: list,
		Prepare: admission.Preparer{Peers: f.options.Peers, HTTP: f.options.HTTP, Clients: f.options.Clients, Clock: clock},
		API:     k.server, Clock: clock, Log: f.log,
	}
	return k, nil
}

// run admits others, from when p's weights are loaded until ctx ends.
func (k *gatekeeper) run(ctx context.Context, p *Pod) error {
	if k == nil || p.awaitWeights(ctx) != nil {
		return nil
	}
	return gate.Run(ctx, k.options)
}

func (k *gatekeeper) close() {
	if k == nil {
		return
	}
	k.server.Close()
}
