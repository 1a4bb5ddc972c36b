// Command mesh is Envoy's session affinity as a small proxy; see package mesh.
package main

import (
	"github.com/smaran-v2/smaran/services/mesh"
	"github.com/smaran-v2/smaran/services/run"
)

func main() { run.Main(mesh.Run) }
