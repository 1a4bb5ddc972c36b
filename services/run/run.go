// Package run is the few lines every main needs: signals end the context, an error ends the process with one line and a
// non-zero exit.
package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

// Func is a program: it ends when ctx does, and returns what made it fail.
type Func func(ctx context.Context, args, environ []string, stdout, stderr io.Writer) error

// ExitCoder is implemented by an error that wants an exit code other than 1.
type ExitCoder interface{ ExitCode() int }

// Main runs f and ends the process. The first SIGINT or SIGTERM cancels f's context; a second one ends the process at once.
func Main(f Func) {
	os.Exit(run(f))
}

func run(f Func) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	// After the first signal the default action is back, so that an impatient second one is obeyed.
	defer context.AfterFunc(ctx, stop)()
	// A reader that went away, such as head, is an error of a write and no end of the process: what it started has to be cleaned up.
	signal.Ignore(syscall.SIGPIPE)

	err := f(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	if err == nil {
		return 0
	}
	fmt.Fprintf(os.Stderr, "%s: %v\n", filepath.Base(os.Args[0]), err)
	var coder ExitCoder
	if errors.As(err, &coder) {
		return coder.ExitCode()
	}
	return 1
}
