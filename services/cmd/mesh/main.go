// Command mesh is Envoy's session affinity as a small proxy; see package mesh.
package main

import (
	"github.com/smaran-v2/smaran/services/internal/run"
	"github.com/smaran-v2/smaran/services/mesh"
)

func main() { run.Main(mesh.Run) }
