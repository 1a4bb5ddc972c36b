// Command loadtest drives calls and inference through a fleet and reports what events cost.
package main

import (
	"context"
	"io"

	"github.com/smaran-v2/smaran/loadtest/internal/cli"
	"github.com/smaran-v2/smaran/services/run"
)

func main() {
	// kong reads the environment itself.
	run.Main(func(ctx context.Context, args, _ []string, stdout, stderr io.Writer) error {
		return cli.Run(ctx, args, stdout, stderr)
	})
}
