// Command turn is the relay through which a browser reaches pods whose addresses it can't. It is configured by TURN_* variables.
package main

import (
	"github.com/smaran-v2/smaran/services/run"
	"github.com/smaran-v2/smaran/services/turn"
)

func main() { run.Main(turn.Run) }
