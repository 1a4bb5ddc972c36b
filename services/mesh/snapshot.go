package mesh

import (
	"fmt"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/mesh/balance"
	"github.com/smaran-v2/smaran/services/mesh/upstream"
)

// target is one endpoint in one snapshot.
type target struct {
	endpoints.Endpoint
	host  *pod
	picks prometheus.Counter
	// headerToken is made once, since it depends on the address alone.
	headerToken string
}

// snapshot is one version of the endpoints, ready to pick from. It never changes.
type snapshot struct {
	targets   []*target
	byAddress map[string]*target
	balancer  balance.Balancer
}

// newSnapshot fails where Envoy would refuse the endpoints, for weights that add up to too much.
func (m *Mesh) newSnapshot(set endpoints.Set, pods map[string]*pod) (*snapshot, error) {
	s := &snapshot{byAddress: make(map[string]*target, len(set.Endpoints))}
	hosts := make([]balance.Host, 0, len(set.Endpoints))
	for _, e := range set.Endpoints {
		t := &target{
			Endpoint:    e,
			host:        pods[e.Address],
			picks:       m.metrics.picks.WithLabelValues(string(m.options.Policy), podLabel(e)),
			headerToken: affinity.EncodeHeader(e.Address),
		}
		s.targets = append(s.targets, t)
		s.byAddress[e.Address] = t
		hosts = append(hosts, balance.Host{Endpoint: e, Active: &t.host.active})
	}
	var err error
	s.balancer, err = newBalancer(m.options, hosts, m.state)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// podLabel names a pod in metrics; the file need not name it.
func podLabel(e endpoints.Endpoint) string {
	if e.Pod != "" {
		return e.Pod
	}
	return e.Address
}

func newBalancer(o Options, hosts []balance.Host, state *balance.State) (balance.Balancer, error) {
	if algorithm, hashed := o.Policy.Algorithm(); hashed {
		b, err := balance.NewHash(algorithm, hosts, o.Table(), state)
		if err != nil {
			return nil, fmt.Errorf("mesh: %w", err)
		}
		return b, nil
	}
	switch o.Policy {
	case RoundRobin:
		return balance.NewRoundRobin(hosts, state), nil
	case Random:
		return balance.NewRandom(hosts, state), nil
	case LeastRequest, StatefulByHeader, StatefulByCookie:
		return balance.NewLeastRequest(hosts, state), nil
	default:
		return nil, fmt.Errorf("%w: policy %q", ErrOptions, o.Policy)
	}
}

// pod is what stays of an endpoint from one snapshot to the next: its connections and what is under way.
type pod struct {
	*upstream.Host
	active atomic.Int64
}
