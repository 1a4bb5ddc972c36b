package jarvis

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/jonboulle/clockwork"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	clientset "k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/smaran-v2/smaran/services/admission"
	"github.com/smaran-v2/smaran/services/admission/gate"
	"github.com/smaran-v2/smaran/services/discovery/kubernetes"
)

// gatekeeper is a pod's part in letting others into rotation. The nil pointer is a pod that has none.
type gatekeeper struct {
	options gate.Options
	// carriers are the HTTP clients of the API server's clients.
	carriers []*http.Client
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
	election := gate.DefaultElection()
	// A watch lasts, so only the calls about the Lease have a time-out: one that hangs is not to lose it.
	forLease := rest.CopyConfig(server)
	forLease.Timeout = election.Renewal / 2
	k := &gatekeeper{}
	client, err := k.client(server)
	leases, lerr := k.client(forLease)
	if err := errors.Join(err, lerr); err != nil {
		return nil, err
	}
	k.options = gate.Options{
		Gate: cfg.ReadinessGate, Service: service, Self: f.options.Self.Name, Election: election, Endpoints: list,
		Prepare: admission.Preparer{Peers: f.options.Peers, HTTP: f.options.HTTP, Clients: f.options.Clients, Clock: clock},
		Client:  client, Leases: leases.CoordinationV1(), Clock: clock, Log: f.log,
	}
	return k, nil
}

func (k *gatekeeper) client(server *rest.Config) (*clientset.Clientset, error) {
	carrier, err := rest.HTTPClientFor(server)
	if err != nil {
		return nil, fmt.Errorf("client of the API server: %w", err)
	}
	k.carriers = append(k.carriers, carrier)
	return clientset.NewForConfigAndClient(server, carrier)
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
	for _, c := range k.carriers {
		utilnet.CloseIdleConnectionsFor(c.Transport)
	}
}
