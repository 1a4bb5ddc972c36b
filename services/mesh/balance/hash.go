package balance

import "github.com/smaran-v2/smaran/services/affinity"

// NewHash picks by the request's hash over the hosts in rotation, and at random for a request without one
// (thread_aware_lb_impl.cc). It fails as affinity.New does.
func NewHash(p affinity.Policy, hosts []Host, o affinity.Options, s *State) (Balancer, error) {
	b := &hashed{state: s}
	var candidates []affinity.Host
	for i, h := range hosts {
		if h.Health.InRotation() {
			b.hosts = append(b.hosts, i)
			candidates = append(candidates, h.Host())
		}
	}
	var err error
	b.picker, err = affinity.New(p, candidates, o)
	if err != nil {
		return nil, err
	}
	return b, nil
}

type hashed struct {
	state  *State
	picker affinity.Picker
	hosts  []int // of the picker's indexes
}

func (b *hashed) Pick(r Request) int {
	hash := r.Hash
	if !r.Hashed {
		hash = b.state.Random.Uint64()
	}
	return retry(r, func(attempt uint32) int {
		if at := b.picker.Pick(hash, attempt); at >= 0 {
			return b.hosts[at]
		}
		return -1
	})
}
