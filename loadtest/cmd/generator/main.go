// Command generator puts the load of one run on a fleet from inside its cluster. The image smaran-v2/loadtest holds it.
package main

import (
	"context"
	"io"

	"github.com/smaran-v2/smaran/loadtest/internal/generator"
	"github.com/smaran-v2/smaran/services/run"
)

func main() {
	// kong reads the environment itself.
	run.Main(func(ctx context.Context, args, _ []string, stdout, stderr io.Writer) error {
		return generator.Run(ctx, args, stdout, stderr)
	})
}
