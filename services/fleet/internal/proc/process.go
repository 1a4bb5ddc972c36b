package proc

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// Process is a running child, or one that has ended.
type Process struct {
	cmd      *exec.Cmd
	log      *os.File
	logStart int64 // what the log file held before
	lifeline io.Closer
	done     chan struct{}
}

// PID is the child's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed once the child has ended and was reaped.
func (p *Process) Done() <-chan struct{} { return p.done }

// End says how the child ended, such as "exit status 1" or "signal: killed". It blocks until then.
func (p *Process) End() string {
	<-p.done
	return p.cmd.ProcessState.String()
}

// Signal sends a signal. One to a child that has ended already is dropped.
func (p *Process) Signal(s syscall.Signal) error {
	if err := p.signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("send %s to process %d: %w", s, p.PID(), err)
	}
	return nil
}

// Abandon cuts the child's lifeline, which has one that knows it end at once instead of in good order.
func (p *Process) Abandon() {
	if p.lifeline != nil {
		_ = p.lifeline.Close()
	}
}

// wait is the goroutine of one child; it ends with it.
func (p *Process) wait() {
	_ = p.cmd.Wait() // ProcessState tells
	p.release()
	close(p.done)
}

func (p *Process) release() {
	_ = p.log.Close() // nothing of ours is buffered
	p.Abandon()
}

// A tail reads at most this much of the log.
const tailBytes = 16 << 10

// Tail returns the last lines, at most n, of what this process printed.
func (p *Process) Tail(n int) []string {
	f, err := os.Open(p.log.Name())
	if err != nil {
		return []string{"its log is gone: " + err.Error()}
	}
	defer f.Close()
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return []string{"its log: " + err.Error()}
	}
	from := max(p.logStart, end-tailBytes)
	text, err := io.ReadAll(io.NewSectionReader(f, from, end-from))
	if err != nil {
		return []string{"its log: " + err.Error()}
	}
	trimmed := strings.TrimRight(string(text), "\n")
	if trimmed == "" {
		return nil
	}
	lines := strings.Split(trimmed, "\n")
	if from > p.logStart && len(lines) > 1 {
		lines = lines[1:] // most likely cut in two
	}
	return lines[max(0, len(lines)-n):]
}
