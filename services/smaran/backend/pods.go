package backend

import (
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/session"
)

// Endpoints is a source of the pods there are, such as an endpoints.Watcher.
type Endpoints interface {
	// Current is shared: its slice is never changed.
	Current() endpoints.Set
}

// pods is one version of the endpoints, ready to choose from.
type pods struct {
	set endpoints.Set
	// rotation are the pods that take new sessions, in the order of the picker's hosts.
	rotation []endpoints.Endpoint
	// picker is nil where the backend does not hash.
	picker affinity.Picker
}

// podSource keeps pods in step with the endpoints.
type podSource struct {
	endpoints Endpoints
	// build makes the picker; nil for none.
	build   func([]affinity.Host) (affinity.Picker, error)
	current atomic.Pointer[pods]
}

// get returns the present pods. It fails with ErrNoPods if none is in rotation.
func (s *podSource) get() (*pods, error) {
	set := s.endpoints.Current()
	p := s.current.Load()
	if p == nil || !same(p.set, set) {
		var err error
		if p, err = s.make(set); err != nil {
			return nil, err
		}
		s.current.Store(p)
	}
	if len(p.rotation) == 0 {
		return p, fmt.Errorf("%w: none of %d endpoints is in rotation", ErrNoPods, len(set.Endpoints))
	}
	return p, nil
}

func (s *podSource) make(set endpoints.Set) (*pods, error) {
	p := &pods{set: set}
	for _, e := range set.Endpoints {
		if e.Health.InRotation() {
			p.rotation = append(p.rotation, e)
		}
	}
	if s.build == nil {
		return p, nil
	}
	var err error
	if p.picker, err = s.build(set.Hosts()); err != nil {
		return nil, fmt.Errorf("hash over %d pods: %w", len(p.rotation), err)
	}
	return p, nil
}

// same reports whether two sets are one version: they share their endpoints, or there are none.
func same(a, b endpoints.Set) bool {
	if a.Version != b.Version || len(a.Endpoints) != len(b.Endpoints) {
		return false
	}
	return len(a.Endpoints) == 0 || &a.Endpoints[0] == &b.Endpoints[0]
}

// others are the pods in rotation without the one called lost, or with it if it is the only one.
func (p *pods) others(lost string) []endpoints.Endpoint {
	if lost == "" {
		return p.rotation
	}
	rest := slices.DeleteFunc(slices.Clone(p.rotation), func(e endpoints.Endpoint) bool { return e.Pod == lost })
	if len(rest) == 0 {
		return p.rotation
	}
	return rest
}

// rendezvous builds the picker of rendezvous hashing.
func rendezvous(hosts []affinity.Host) (affinity.Picker, error) { return affinity.NewRendezvous(hosts) }

// rendezvous is the session's pod by a rendezvous picker, without those named in avoid unless there is no other. What ranks next to
// an avoided pod is where the session goes once the endpoints leave that pod out.
func (p *pods) rendezvous(id session.ID, avoid ...string) endpoints.Endpoint {
	hash := affinity.HashValue(string(id))
	for attempt := range uint32(len(p.rotation)) {
		e := p.rotation[p.picker.Pick(hash, attempt)]
		if e.Pod == "" || !slices.Contains(avoid, e.Pod) {
			return e
		}
	}
	return p.rotation[p.picker.Pick(hash, 0)]
}

// hosts are endpoints as package affinity sees them.
func hosts(list []endpoints.Endpoint) []affinity.Host {
	out := make([]affinity.Host, len(list))
	for i, e := range list {
		out[i] = e.Host()
	}
	return out
}
