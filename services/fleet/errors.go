package fleet

import (
	"errors"
	"fmt"
	"strings"
)

// What a change can fail with.
var (
	// ErrConfig is a configuration that can't work.
	ErrConfig = errors.New("invalid fleet configuration")
	// ErrNoBinary is a program that was not found.
	ErrNoBinary = errors.New("program not found")
	// ErrAddress is an address that is taken, or that the system lacks.
	ErrAddress = errors.New("address not available")
	// ErrUnknownPod is a name that no pod has.
	ErrUnknownPod = errors.New("no such pod")
	// ErrPhase is a pod, or another process, that is not in a state for the change.
	ErrPhase = errors.New("not possible now")
	// ErrNotReady is matched by a *NotReadyError.
	ErrNotReady = errors.New("process does not get ready")
	// ErrLaneDown is a lane that has no fleet now. The error says why.
	ErrLaneDown = errors.New("no fleet now")
	// ErrClosed is a fleet that is going down, or is down.
	ErrClosed = errors.New("the fleet is going down")
)

// NotReadyError is a process that died again and again before it served.
type NotReadyError struct {
	// Name of the process, such as jarvis-3.
	Name string
	// Deaths in a row.
	Deaths int
	// End is how it ended last, such as "exit status 1".
	End string
	// Lines it printed last.
	Lines []string
}

// Error shows the last lines too, because they hold the reason.
func (e *NotReadyError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s died %d times before it was ready (%s)", e.Name, e.Deaths, e.End)
	if len(e.Lines) == 0 {
		b.WriteString(" and printed nothing")
		return b.String()
	}
	b.WriteString("; its last lines:")
	for _, line := range e.Lines {
		b.WriteString("\n  ")
		b.WriteString(line)
	}
	return b.String()
}

// Is makes it match ErrNotReady.
func (e *NotReadyError) Is(target error) bool { return target == ErrNotReady }
