package kube

import (
	"slices"
	"sync"

	"github.com/jonboulle/clockwork"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/smaran-v2/smaran/loadtest/internal/kube/proxies"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/view"
	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	"github.com/smaran-v2/smaran/services/discovery/kubernetes"
	"github.com/smaran-v2/smaran/services/endpoints"
)

// ledger keeps every version of jarvis-service's endpoints, with the time at which the API server told of it.
type ledger struct {
	clock clockwork.Clock

	mu       sync.Mutex
	sets     [][]endpoints.Endpoint
	versions []*fleetv1.Endpoints
	arrivals []*proxies.Arrivals
}

// listed are the pods of jarvis-service, as smaran and the mesh's control plane read them.
func listed(s view.State) []endpoints.Endpoint {
	return kubernetes.Merge(s.SlicesOf(JarvisService), PortName)
}

// see takes the state after a change of slices.
func (l *ledger) see(s view.State) {
	set := listed(s)
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.sets); n > 0 && slices.Equal(l.sets[n-1], set) {
		return
	}
	l.add(set)
}

// add is called with mu held.
func (l *ledger) add(set []endpoints.Endpoint) {
	now := l.clock.Now()
	v := &fleetv1.Endpoints{Version: uint64(len(l.sets) + 1), Written: timestamppb.New(now)}
	for _, e := range set {
		v.Endpoints = append(v.Endpoints, &fleetv1.Endpoint{Pod: e.Pod, Address: e.Address, Health: e.Health.String()})
	}
	l.sets, l.versions = append(l.sets, set), append(l.versions, v)
	for _, a := range l.arrivals {
		a.Wrote(now, set)
	}
}

// begin forgets all versions but the last: the fleet is ready, and the proxies have it. Those that come are told to the arrivals.
func (l *ledger) begin(arrivals []*proxies.Arrivals) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var set []endpoints.Endpoint
	if n := len(l.sets); n > 0 {
		set = l.sets[n-1]
	}
	l.sets, l.versions, l.arrivals = nil, nil, nil
	l.add(set)
	for _, a := range arrivals {
		a.Has(set)
	}
	l.arrivals = arrivals
}

// all are the versions, oldest first.
func (l *ledger) all() []*fleetv1.Endpoints {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.versions)
}

// latest is the last version.
func (l *ledger) latest() []endpoints.Endpoint {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.sets) == 0 {
		return nil
	}
	return l.sets[len(l.sets)-1]
}
