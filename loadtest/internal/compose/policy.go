package compose

import (
	"fmt"
	"strconv"

	"github.com/smaran-v2/smaran/loadtest/internal/driver"
	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/mesh"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/smaran/backend"
)

// meshPolicy is what Envoy has to do for a spec.
func meshPolicy(s driver.Spec) mesh.Policy {
	name, policy := driver.SplitBackend(s.Backend)
	if policy != "" {
		return mesh.Policy(policy)
	}
	return backend.Name(name).MeshPolicy()
}

func sessionMode(s driver.Spec) session.Policy {
	if s.Lenient {
		return session.Lenient
	}
	return session.Strict
}

// check fails with ErrEnvoy where Envoy does not balance as the policy says. It returns the size of its ring.
func (b balancer) check(p mesh.Policy) (ringSize uint64, err error) {
	if want := balancers()[p]; b.Policy != want {
		return 0, fmt.Errorf("%w: its balancer is %q, but policy %s wants %q: the configuration that it was started with is not the driver's",
			ErrEnvoy, b.Policy, p, want)
	}
	if b.RingHash.Minimum == "" {
		return affinity.DefaultMinRingSize, nil
	}
	return strconv.ParseUint(b.RingHash.Minimum.String(), 10, 64)
}

// balancers are Envoy's words for the policies.
func balancers() map[mesh.Policy]string {
	return map[mesh.Policy]string{
		mesh.Ring: "RING_HASH", mesh.Maglev: "MAGLEV", mesh.RoundRobin: "", mesh.LeastRequest: "LEAST_REQUEST",
		mesh.StatefulByHeader: "LEAST_REQUEST", mesh.StatefulByCookie: "LEAST_REQUEST",
	}
}
