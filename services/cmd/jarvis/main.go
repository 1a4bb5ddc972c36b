// Command jarvis is one pod. It is configured by JARVIS_* variables.
package main

import (
	"github.com/smaran-v2/smaran/services/jarvis"
	"github.com/smaran-v2/smaran/services/run"
)

func main() { run.Main(jarvis.Run) }
