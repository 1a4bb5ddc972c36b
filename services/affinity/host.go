package affinity

import (
	"errors"
	"fmt"
	"math"
)

// ErrWeights is returned where the weights of the hosts add up to more than a uint32 holds, which Envoy refuses
// as well (validateEndpoints in thread_aware_lb_impl.cc).
var ErrWeights = errors.New("affinity: the weights of all hosts must add up to at most 4294967295")

// Host is one endpoint as a load balancer sees it.
type Host struct {
	// Address is "ip:port", or "[ip]:port" for IPv6, as Envoy prints it.
	Address string
	// HashKey is the endpoint's metadata hash_key under envoy.lb. Empty means Address. Istio never sets it.
	HashKey string
	// Weight is the endpoint's load_balancing_weight. 0 counts as 1.
	Weight uint32
}

// Key is what Envoy hashes for the host (hashKey in thread_aware_lb_impl.h, without use_hostname_for_hashing).
func (h Host) Key() string {
	if h.HashKey != "" {
		return h.HashKey
	}
	return h.Address
}

func (h Host) weight() uint32 {
	return max(h.Weight, 1)
}

// normalized holds every host's share of the total weight, and the extremes of the shares.
type normalized struct {
	shares   []float64
	min, max float64
}

// normalize is normalizeHostWeights of thread_aware_lb_impl.cc without locality weights. The order of the
// operations is part of the result: a share is weight*1.0/sum in float64.
func normalize(hosts []Host) (normalized, error) {
	var sum uint64
	for _, h := range hosts {
		sum += uint64(h.weight())
	}
	if sum > math.MaxUint32 {
		return normalized{}, fmt.Errorf("%w: got %d over %d hosts; scale them down", ErrWeights, sum, len(hosts))
	}
	n := normalized{shares: make([]float64, len(hosts)), min: 1, max: 0}
	for i, h := range hosts {
		n.shares[i] = float64(h.weight()) / float64(sum)
		n.min = min(n.min, n.shares[i])
		n.max = max(n.max, n.shares[i])
	}
	return n, nil
}
