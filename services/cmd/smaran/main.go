// Command smaran is the coordinator between clients and jarvis pods.
package main

import (
	"github.com/smaran-v2/smaran/services/run"
	"github.com/smaran-v2/smaran/services/smaran"
)

func main() { run.Main(smaran.Run) }
