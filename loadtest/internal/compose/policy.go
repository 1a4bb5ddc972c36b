package compose

import (
	"github.com/smaran-v2/smaran/loadtest/internal/driver"
	"github.com/smaran-v2/smaran/services/mesh"
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
