// Package balance picks a host for one try of a request as Envoy's load balancers do, over one priority and one locality
// with the panic threshold that Istio sets, 0: when no host is healthy enough, none is picked.
//
// It holds no connections and follows no file. Build a Balancer for each version of the endpoints; what must outlive a
// version (the position in the rotation, the randomness) is in State.
package balance

import (
	"sync/atomic"

	"github.com/smaran-v2/smaran/services/endpoints"
)

// Host is one endpoint with the requests that are under way to it.
type Host struct {
	endpoints.Endpoint
	Active *atomic.Int64
}

// Request is what a balancer may know of a request.
type Request struct {
	// Hash is what the route's hash policy made of the request; Hashed is false where it made nothing.
	Hash   uint64
	Hashed bool
	// Refuse is Envoy's retry host predicate: a host it refuses is passed over, up to hostAttempts times; then the last
	// one picked is taken all the same. nil refuses none.
	Refuse func(host int) bool
}

// Balancer picks among the hosts it was built from. It is safe for concurrent use.
type Balancer interface {
	// Pick returns an index into the hosts, or -1 when none may be used.
	Pick(Request) int
}

// hostAttempts is the host_selection_retry_max_attempts that Istio sets.
const hostAttempts = 5

// retry is chooseHost of load_balancer_impl.cc: it asks once, and again while the request refuses the answer.
func retry(r Request, once func(attempt uint32) int) int {
	host := once(0)
	if r.Refuse == nil {
		return host
	}
	for attempt := uint32(1); attempt <= hostAttempts && host >= 0 && r.Refuse(host); attempt++ {
		host = once(attempt)
	}
	return host
}

// State is what balancers of successive versions share.
type State struct {
	Random *Source
	// next counts the rotation's turns, for healthy and for degraded hosts.
	next [2]atomic.Uint64
}

// NewState starts the rotation at a random host.
func NewState(random *Source) *State {
	s := &State{Random: random}
	for i := range s.next {
		s.next[i].Store(random.Uint64())
	}
	return s
}
