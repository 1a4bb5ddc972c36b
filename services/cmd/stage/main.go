// Command stage serves the page on its own: see package stage/program.
package main

import (
	"github.com/smaran-v2/smaran/services/run"
	"github.com/smaran-v2/smaran/services/stage/program"
)

func main() { run.Main(program.Run) }
