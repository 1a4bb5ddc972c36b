package proc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"

	"github.com/smaran-v2/smaran/services/lifeline"
)

// GuardVerb is the sub-command under which a program calls Guard.
const GuardVerb = "guard"

// ErrGuardUsage is returned by Guard without a program to run.
var ErrGuardUsage = errors.New("guard: expected a program and its arguments")

// Guard runs a program that knows no lifeline and kills it when the lifeline in environ is cut. A signal that ends ctx is left
// to the program, which gets it too, being in the same process group.
func Guard(ctx context.Context, argv, environ []string, stdout, stderr io.Writer) error {
	if len(argv) == 0 {
		return ErrGuardUsage
	}
	alive, err := lifeline.Context(context.WithoutCancel(ctx), environ)
	if err != nil {
		return fmt.Errorf("guard: %w", err)
	}
	cmd := exec.CommandContext(alive, argv[0], argv[1:]...)
	cmd.Env = environ
	cmd.Stdout, cmd.Stderr = stdout, stderr
	return cmd.Run()
}
