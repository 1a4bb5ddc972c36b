package handoff

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/session"
)

const (
	// maxRings are remembered, for memory at the longest: later a session that nobody asked for has little left to bring.
	maxRings = 8
	memory   = 10 * time.Minute
	// maxBuilt rings are kept for their endpoints to be asked about again: the present ones, those without this pod, and those to come.
	maxBuilt = 4
)

// Rings knows which pod the mesh gives a session to, and which ones it gave it to before. It is safe for concurrent use.
type Rings struct {
	self  string
	build func([]affinity.Host) (affinity.Picker, error)
	clock clockwork.Clock

	mu      sync.RWMutex
	current endpoints.Set
	// rings are the different rotations, the newest first. left is when one was replaced.
	rings []ring

	// built are the rings that were asked for lately, the newest first, guarded by building: mu may be held meanwhile.
	building sync.Mutex
	built    []ring
}

type ring struct {
	rotation []endpoints.Endpoint
	picker   affinity.Picker
	left     time.Time
}

// NewRings returns the rings of the pod at the address self, with no endpoints yet. It fails with affinity's errors.
func NewRings(self string, policy affinity.Policy, options affinity.Options, clock clockwork.Clock) (*Rings, error) {
	r := &Rings{self: self, clock: clock, build: func(hosts []affinity.Host) (affinity.Picker, error) {
		return affinity.New(policy, hosts, options)
	}}
	if _, err := r.build(nil); err != nil {
		return nil, err
	}
	return r, nil
}

// Update takes the endpoints as they are now. It fails with affinity's errors, and then keeps those it had.
func (r *Rings) Update(set endpoints.Set) error {
	next, err := r.ring(inRotation(set))
	if err != nil {
		return fmt.Errorf("endpoints version %s: %w", set.Version, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.current = set
	if len(r.rings) > 0 && slices.Equal(r.rings[0].rotation, next.rotation) {
		return nil
	}
	if len(r.rings) > 0 {
		r.rings[0].left = r.clock.Now()
	}
	r.rings = append([]ring{next}, r.rings[:min(len(r.rings), maxRings-1)]...)
	return nil
}

// ring of endpoints. To build one costs as much as some requests.
func (r *Rings) ring(rotation []endpoints.Endpoint) (ring, error) {
	r.building.Lock()
	defer r.building.Unlock()
	for _, had := range r.built {
		if slices.Equal(had.rotation, rotation) {
			return had, nil
		}
	}
	hosts := make([]affinity.Host, len(rotation))
	for i, e := range rotation {
		hosts[i] = e.Host()
	}
	picker, err := r.build(hosts)
	if err != nil {
		return ring{}, err
	}
	next := ring{rotation: rotation, picker: picker}
	r.built = append([]ring{next}, r.built[:min(len(r.built), maxBuilt-1)]...)
	return next, nil
}

func inRotation(set endpoints.Set) []endpoints.Endpoint {
	rotation := make([]endpoints.Endpoint, 0, len(set.Endpoints))
	for _, e := range set.Endpoints {
		if e.Health.InRotation() {
			e.Health = endpoints.Healthy // unknown counts as that, and is no other ring
			rotation = append(rotation, e)
		}
	}
	return rotation
}

func (r ring) pick(id session.ID) (endpoints.Endpoint, bool) {
	i := r.picker.Pick(affinity.HashValue(string(id)), 0)
	if i < 0 {
		return endpoints.Endpoint{}, false
	}
	return r.rotation[i], true
}

// Rotation is the endpoints that the mesh gives sessions to, in their order.
func (r *Rings) Rotation() []endpoints.Endpoint {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if len(r.rings) == 0 {
		return nil
	}
	return slices.Clone(r.rings[0].rotation)
}

// Owner is the pod that the mesh gives a session to now.
func (r *Rings) Owner(id session.ID) (endpoints.Endpoint, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if len(r.rings) == 0 {
		return endpoints.Endpoint{}, false
	}
	return r.rings[0].pick(id)
}

// Former are the other pods that the mesh gave a session to before, the latest first, as far as they are still listed.
func (r *Rings) Former(id session.ID) []endpoints.Endpoint {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var former []endpoints.Endpoint
	for i, past := range r.rings {
		if i > 0 && r.clock.Since(past.left) > memory {
			break
		}
		had, ok := past.pick(id)
		if !ok || had.Address == r.self {
			continue
		}
		listed, there := r.current.LookupAddress(had.Address)
		if there && !slices.ContainsFunc(former, func(e endpoints.Endpoint) bool { return e.Address == listed.Address }) {
			former = append(former, listed)
		}
	}
	return former
}

// Next is the pod that the mesh gives a session to, without this one if it is leaving.
func (r *Rings) Next(id session.ID, leaving bool) (endpoints.Endpoint, bool) {
	if !leaving {
		return r.Owner(id)
	}
	rest, err := r.ring(slices.DeleteFunc(r.Rotation(), func(e endpoints.Endpoint) bool { return e.Address == r.self }))
	if err != nil {
		return endpoints.Endpoint{}, false // Update would have refused them
	}
	return rest.pick(id)
}

// Givers is how many pods were in rotation before the latest change: those that sessions move from.
func (r *Rings) Givers() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if len(r.rings) == 0 {
		return 0
	}
	return len(r.rings[min(1, len(r.rings)-1)].rotation)
}

// Listed are all endpoints, in rotation or not.
func (r *Rings) Listed() []endpoints.Endpoint {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Clone(r.current.Endpoints)
}

// Named is the endpoint of the pod called name, in rotation or not.
func (r *Rings) Named(name string) (endpoints.Endpoint, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.current.Lookup(name)
}

// Move is a session that other endpoints give to another pod.
type Move struct {
	Session session.ID
	To      endpoints.Endpoint
}

// Moves are those of sessions that the endpoints next, all in rotation, give to other pods than this one. It fails with affinity's
// errors.
func (r *Rings) Moves(next []endpoints.Endpoint, sessions []session.ID) ([]Move, error) {
	then, err := r.ring(next)
	if err != nil {
		return nil, err
	}
	var moves []Move
	for _, id := range sessions {
		if to, ok := then.pick(id); ok && to.Address != r.self {
			moves = append(moves, Move{Session: id, To: to})
		}
	}
	return moves, nil
}
