// Command fleet runs smaran, the mesh, Redis and jarvis pods on one machine.
package main

import (
	"github.com/smaran-v2/smaran/services/fleet"
	"github.com/smaran-v2/smaran/services/run"
)

func main() { run.Main(fleet.Run) }
