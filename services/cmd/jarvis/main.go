// Command jarvis is one pod. It is configured by JARVIS_* variables.
package main

import (
	"github.com/smaran-v2/smaran/services/internal/run"
	"github.com/smaran-v2/smaran/services/jarvis"
)

func main() { run.Main(jarvis.Run) }
