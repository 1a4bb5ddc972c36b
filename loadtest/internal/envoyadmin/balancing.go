package envoyadmin

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/mesh"
)

// Resources that hold clusters.
const (
	// StaticClusters are those of Envoy's own file.
	StaticClusters = "static_clusters"
	// DynamicClusters are those that a control plane told.
	DynamicClusters = "dynamic_active_clusters"
)

// Balancing is how an Envoy chooses among a cluster's hosts.
type Balancing struct {
	// Policy is never a stateful one: stateful sessions are in front of the balancer; see Below.
	Policy mesh.Policy
	// RingSize is minimum_ring_size; 0 without a ring.
	RingSize uint64
}

// Below is the policy of the balancer that a mesh's policy has: the stateful ones choose by it where nothing is pinned.
func Below(p mesh.Policy) mesh.Policy {
	if p.Stateful() {
		return mesh.LeastRequest
	}
	return p
}

// Balancing of a cluster that is one of StaticClusters or DynamicClusters. It fails with ErrNoCluster.
func (a Admin) Balancing(ctx context.Context, clusters, cluster string) (Balancing, error) {
	var dump struct {
		Configs []struct {
			Cluster struct {
				Policy string `json:"lb_policy"`
				Ring   struct {
					Minimum uint64 `json:"minimum_ring_size,string"`
				} `json:"ring_hash_lb_config"`
			} `json:"cluster"`
		} `json:"configs"`
	}
	if err := a.Dump(ctx, clusters, cluster, &dump); err != nil {
		return Balancing{}, err
	}
	if len(dump.Configs) == 0 {
		return Balancing{}, fmt.Errorf("%w: %s", ErrNoCluster, cluster)
	}
	c := dump.Configs[0].Cluster
	switch c.Policy {
	case "": // the field's default is left out
		return Balancing{Policy: mesh.RoundRobin}, nil
	case "RING_HASH":
		return Balancing{Policy: mesh.Ring, RingSize: cmp.Or(c.Ring.Minimum, affinity.DefaultMinRingSize)}, nil
	default: // Envoy's words are the policies' own, in capitals
		return Balancing{Policy: mesh.Policy(strings.ToLower(c.Policy))}, nil
	}
}
