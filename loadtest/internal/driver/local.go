package driver

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/smaran-v2/smaran/loadtest/internal/child"
	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	"github.com/smaran-v2/smaran/services/lifeline"
	"github.com/smaran-v2/smaran/services/wire"
)

// Local runs fleets on this machine, each a child process that ends with this one.
type Local struct {
	// Program is bin/fleet; see FindProgram.
	Program string
	// Dir is where fleets keep what they need while they run.
	Dir string
	// Control is where a fleet's control API listens, "ip:port", for whoever else wants to find it; empty is a free port.
	Control string
	Log     *slog.Logger
}

// Name is "local".
func (l *Local) Name() string { return "local" }

// FindProgram looks for the fleet: the path given, if any, else beside this program.
func FindProgram(given string) (string, error) {
	path := given
	if path == "" {
		self, err := os.Executable()
		if err != nil {
			return "", fmt.Errorf("%w: where this program is: %w", ErrNoFleetProgram, err)
		}
		path = filepath.Join(filepath.Dir(self), "fleet")
	}
	found, err := exec.LookPath(path)
	if err != nil {
		return "", fmt.Errorf("%w: %w: build it with make build, or name it with --fleet", ErrNoFleetProgram, err)
	}
	return filepath.Abs(found)
}

// args are the command line for a spec.
func (l *Local) args(s Spec) []string {
	backend, policy := SplitBackend(s.Backend)
	args := []string{
		"up", "--json", "--pods", strconv.Itoa(s.Pods), "--backend", backend, "--seed", strconv.FormatUint(s.Seed, 10),
		"--listen", "127.0.0.1:0", "--control", cmp.Or(l.Control, "127.0.0.1:0"), "--dir", l.Dir, "--log-level", "warn",
		"--grace", s.DrainTime().String(),
	}
	for flag, value := range map[string]string{"--policy": policy, "--mesh": s.Mesh, "--redis": s.Redis} {
		if value != "" {
			args = append(args, flag, value)
		}
	}
	if s.HandsOver() && s.SessionStore != "" {
		args = append(args, "--session-store", s.SessionStore)
	}
	if s.SecondWay > 0 {
		args = append(args, "--second-way", s.SecondWay.String())
	}
	if s.Lenient {
		args = append(args, "--session-mode", string(s.SessionMode()))
	}
	return args
}

// Up implements Driver. It fails with ErrStart, which holds the fleet's last words.
func (l *Local) Up(ctx context.Context, s Spec) (_ Fleet, err error) {
	f := &local{exited: make(chan struct{}), died: make(chan struct{})}
	f.cmd = exec.Command(l.Program, l.args(s)...)
	f.cmd.Env = os.Environ()
	cut, started, err := lifeline.Attach(f.cmd)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStart, err)
	}
	defer started()
	f.lifeline = cut
	f.cmd.Stderr = &f.words
	child.OwnGroup(f.cmd)
	stdout, err := f.cmd.StdoutPipe()
	if err != nil {
		_ = cut.Close()
		return nil, fmt.Errorf("%w: %w", ErrStart, err)
	}
	if err := f.cmd.Start(); err != nil {
		_ = cut.Close()
		return nil, fmt.Errorf("%w: %w", ErrStart, err)
	}
	ready := make(chan *fleetv1.StatusResponse, 1)
	go f.reap(stdout, ready)

	select {
	case status, ok := <-ready:
		if !ok {
			<-f.exited
			_ = cut.Close()
			return nil, fmt.Errorf("%w: %s", ErrStart, f.words.Last())
		}
		f.Steering = NewSteering(&http.Client{}, "http://"+controlAddress(status))
		return f, nil
	case <-ctx.Done():
		_ = cut.Close() // the fleet sees it and ends
		<-f.exited
		return nil, fmt.Errorf("%w: %w", ErrStart, context.Cause(ctx))
	}
}

// controlAddress is where the fleet says its control API listens.
func controlAddress(s *fleetv1.StatusResponse) string {
	for _, p := range s.GetProcesses() {
		if p.GetName() == wire.FleetProcess {
			return p.GetAddress()
		}
	}
	return ""
}

type local struct {
	Steering
	cmd      *exec.Cmd
	lifeline io.Closer
	words    child.Tail
	// exited is closed when the process has ended; died as well, if nobody asked it to.
	exited, died chan struct{}

	mu    sync.Mutex
	ended bool
	err   error
}

// reap reads the one line that says the fleet is ready, and then waits for its end.
func (f *local) reap(stdout io.Reader, ready chan<- *fleetv1.StatusResponse) {
	defer close(f.exited)
	r := bufio.NewReader(stdout)
	if line, err := r.ReadBytes('\n'); err == nil {
		status := &fleetv1.StatusResponse{}
		if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(line, status); err == nil {
			ready <- status
		}
	}
	close(ready)
	_, _ = io.Copy(io.Discard, r)
	err := f.cmd.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.ended {
		f.err = fmt.Errorf("%w: %w: %s", ErrDied, errors.Join(err), f.words.Last())
		close(f.died)
	}
}

func (f *local) Died() <-chan struct{} { return f.died }

func (f *local) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// lastWait is how long a fleet whose lifeline is cut may take before it is killed; its pods' own lifelines end them then.
const lastWait = 10 * time.Second

// Down asks the fleet to end, cuts its lifeline, and as a last resort kills it.
func (f *local) Down(ctx context.Context) error {
	f.mu.Lock()
	first := !f.ended
	f.ended = true
	f.mu.Unlock()
	if !first {
		<-f.exited
		return nil
	}
	_ = f.down(ctx) // cutting the lifeline does the same
	_ = f.lifeline.Close()
	timer := time.NewTimer(lastWait)
	defer timer.Stop()
	select {
	case <-f.exited:
		return nil
	case <-timer.C:
		err := f.cmd.Process.Kill()
		<-f.exited
		return errors.Join(fmt.Errorf("%w: it did not end within %v: %s", ErrDied, lastWait, f.words.Last()), err)
	}
}
