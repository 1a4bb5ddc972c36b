package backend

import (
	"fmt"
	"slices"
	"strings"

	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/mesh"
)

// meshPolicies are the mesh's policies with which the backend works, the usual one first; nil if it does not leave the choice to the mesh.
func (n Name) meshPolicies() []mesh.Policy {
	switch n {
	case IstioHash, Handoff:
		return []mesh.Policy{mesh.Ring, mesh.Maglev}
	case StatefulHeader:
		return []mesh.Policy{mesh.StatefulByHeader}
	case StatefulCookie:
		return []mesh.Policy{mesh.StatefulByCookie}
	}
	return nil
}

// MeshPolicy is what a mesh is to do for the backend unless one asks for something else.
func (n Name) MeshPolicy() mesh.Policy {
	if wanted := n.meshPolicies(); len(wanted) > 0 {
		return wanted[0]
	}
	return mesh.RoundRobin
}

// Algorithm is what gives each session its pod, where that follows from the endpoints alone; p is the mesh's policy.
func (n Name) Algorithm(p mesh.Policy) (algorithm affinity.Policy, ok bool) {
	switch n {
	case AppHash:
		return affinity.PolicyRendezvous, true
	case IstioHash, Handoff:
		return p.Algorithm()
	default:
		return "", false
	}
}

// CheckMesh fails with ErrUnconfigured if the backend needs a mesh with another policy than p. It would look as if it worked, but the
// mesh would not keep sessions where they are.
func (n Name) CheckMesh(p mesh.Policy) error {
	wanted := n.meshPolicies()
	if wanted == nil || slices.Contains(wanted, p) {
		return nil
	}
	names := make([]string, len(wanted))
	for i, w := range wanted {
		names[i] = string(w)
	}
	return fmt.Errorf("%w: %s needs a mesh with policy %s, but its policy is %s", ErrUnconfigured, n, strings.Join(names, " or "), p)
}
