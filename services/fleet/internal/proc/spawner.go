package proc

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/smaran-v2/smaran/services/lifeline"
)

// ErrStart is matched by the errors of Start.
var ErrStart = errors.New("process not started")

// Spec says what to run.
type Spec struct {
	Path string
	Args []string
	// Env is the whole environment, "KEY=value".
	Env []string
	// Log is the file that gets what the child prints, after what is there already.
	Log string
	// Foreign is a program that does not know package lifeline.
	Foreign bool
}

// Spawner starts processes, all from one thread.
type Spawner struct {
	guard    []string
	requests chan request
	stopped  chan struct{}
}

type request struct {
	cmd   *exec.Cmd
	reply chan error
}

// NewSpawner returns a Spawner that the caller must Close. A guard is the beginning of a command line that ends in a
// call of Guard; foreign programs are started through it. DefaultGuard says where one is needed.
func NewSpawner(guard ...string) *Spawner {
	s := &Spawner{guard: guard, requests: make(chan request), stopped: make(chan struct{})}
	go s.run()
	return s
}

func (s *Spawner) run() {
	defer close(s.stopped)
	// Never unlocked: the thread ends with this goroutine, and with the thread every child that has Pdeathsig.
	runtime.LockOSThread()
	for r := range s.requests {
		r.reply <- r.cmd.Start()
	}
}

// Close releases the thread. Every process must have ended before, and Start must not be called again.
func (s *Spawner) Close() {
	close(s.requests)
	<-s.stopped
}

// Start runs a program in a process group of its own, so that a Ctrl-C at the terminal reaches only the parent.
func (s *Spawner) Start(spec Spec) (*Process, error) {
	name := filepath.Base(spec.Path)
	log, err := os.OpenFile(spec.Log, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: open its log: %w", ErrStart, name, err)
	}
	p := &Process{log: log, done: make(chan struct{})}
	if p.logStart, err = log.Seek(0, io.SeekEnd); err != nil {
		_ = log.Close()
		return nil, fmt.Errorf("%w: %s: its log: %w", ErrStart, name, err)
	}
	argv := append([]string{spec.Path}, spec.Args...)
	guarded := spec.Foreign && len(s.guard) > 0
	if guarded {
		argv = append(append([]string{}, s.guard...), argv...)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = spec.Env
	// A file and not a pipe: the child neither blocks on a frozen parent nor dies of SIGPIPE after it.
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = attributes(guarded)
	if !spec.Foreign || guarded {
		cut, started, err := lifeline.Attach(cmd)
		if err != nil {
			_ = log.Close()
			return nil, fmt.Errorf("%w: %s: %w", ErrStart, name, err)
		}
		p.lifeline = cut
		defer started()
	}
	r := request{cmd: cmd, reply: make(chan error, 1)}
	s.requests <- r
	if err := <-r.reply; err != nil {
		p.release()
		return nil, fmt.Errorf("%w: %w", ErrStart, err)
	}
	p.cmd = cmd
	go p.wait()
	return p, nil
}
