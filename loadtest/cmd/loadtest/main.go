// Command loadtest drives calls and inference through a fleet and reports what events cost.
package main

import (
	"os"

	"github.com/smaran-v2/smaran/loadtest/internal/cli"
)

func main() { os.Exit(cli.Main()) }
