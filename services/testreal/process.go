package testreal

import (
	"bytes"
	"fmt"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// How long a program may take to serve, and to end once it was asked to.
const (
	startTimeout = 20 * time.Second
	stopTimeout  = 5 * time.Second
	pollInterval = 10 * time.Millisecond
)

// process is a running program, in a container or not, that ends with the test.
type process struct {
	name   string
	pid    int
	output fmt.Stringer  // what it has written so far
	exited chan struct{} // closed once the program ended
	// silent is why the program may serve and yet not be heard here; empty: it may not.
	silent string
}

// Start runs the program called name, as Binary finds it, until the test ends.
func Start(t testing.TB, name string, args ...string) {
	t.Helper()
	start(t, name, Binary(t, name), args...)
}

// start runs a program until the test ends. Its output is shown if the test fails.
func start(t testing.TB, name, path string, args ...string) *process {
	t.Helper()
	cmd := exec.Command(path, args...)
	written := &Output{}
	p := &process{name: name, output: written, exited: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = written, written
	// The program's children may hold its output open; do not wait for those.
	cmd.WaitDelay = stopTimeout
	dieWithParent(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	p.pid = cmd.Process.Pid
	go func() {
		_ = cmd.Wait() // what went wrong is in the output
		close(p.exited)
	}()
	t.Cleanup(func() {
		terminate(cmd.Process)
		select {
		case <-p.exited:
		case <-time.After(stopTimeout):
			_ = cmd.Process.Kill()
			<-p.exited
		}
		if t.Failed() {
			t.Logf("output of %s:\n%s", name, p.output)
		}
	})
	return p
}

// await polls ready until it is true. It reports false if the program ended first, and fails the test, or skips it where that may be
// the machine's fault, if it takes longer than startTimeout.
func (p *process) await(t testing.TB, ready func() bool) bool {
	t.Helper()
	deadline := time.After(startTimeout)
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	for {
		if ready() {
			return true
		}
		select {
		case <-p.exited:
			return false
		case <-deadline:
			if p.silent != "" {
				Skip(t, p.name+" is not heard: "+p.silent)
			}
			t.Fatalf("%s did not serve within %s; its output:\n%s", p.name, startTimeout, p.output)
		case <-poll.C:
		}
	}
}

// Output collects what a program writes, from its start on, while others read it.
type Output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *Output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
