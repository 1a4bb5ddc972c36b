// Package lifeline ends a child when its parent dies, on every system, by a pipe that only the parent holds open: whatever
// ends the parent, SIGKILL included, closes it. It carries no data.
package lifeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// Variable names the child's end of the pipe, a file descriptor's number.
const Variable = "LIFELINE_FD"

// ErrParentGone is the cause of a context that ended because the parent did.
var ErrParentGone = errors.New("the process that started this one is gone")

// Attach gives cmd a lifeline. Call it before cmd.Start and after cmd.Env is set; the returned closer, which the caller keeps
// for as long as the child should live, cuts it. Call started once cmd.Start has returned: it releases the child's end.
func Attach(cmd *exec.Cmd) (cut io.Closer, started func(), err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("open lifeline: %w", err)
	}
	const firstExtraFile = 3 // os/exec: entry i of ExtraFiles becomes descriptor 3+i
	cmd.ExtraFiles = append(cmd.ExtraFiles, r)
	cmd.Env = append(cmd.Env, Variable+"="+strconv.Itoa(firstExtraFile+len(cmd.ExtraFiles)-1))
	return w, func() { _ = r.Close() }, nil
}

// Context ends with ctx, or, with the cause ErrParentGone, when the lifeline named in environ is cut. Without one it is ctx. It
// fails when the variable is set to something that is no open descriptor.
//
// The goroutine that watches ends with the process: a read of a pipe can't be cancelled without closing it, and the parent may
// hold it open for as long as it likes.
func Context(ctx context.Context, environ []string) (context.Context, error) {
	value, ok := lookup(environ)
	if !ok {
		return ctx, nil
	}
	fd, err := strconv.ParseUint(value, 10, 31)
	if err != nil {
		return nil, fmt.Errorf("%s=%q: expected the number of a file descriptor", Variable, value)
	}
	pipe := os.NewFile(uintptr(fd), "lifeline")
	if _, err := pipe.Stat(); err != nil {
		return nil, fmt.Errorf("%s=%q: %w", Variable, value, err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, pipe)
		cancel(ErrParentGone)
	}()
	context.AfterFunc(ctx, func() { _ = pipe.Close() })
	return ctx, nil
}

func lookup(environ []string) (string, bool) {
	for _, entry := range environ {
		if value, ok := strings.CutPrefix(entry, Variable+"="); ok {
			return value, true
		}
	}
	return "", false
}
