package fleet_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"

	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	"github.com/smaran-v2/smaran/services/fleet"
	"github.com/smaran-v2/smaran/services/wire"
)

// program is `fleet up` as a process.
type program struct {
	cmd     *exec.Cmd
	status  *fleetv1.StatusResponse
	control string
	dir     string
	stderr  *syncBuffer
	exited  chan error
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}
func (s *syncBuffer) String() string { s.mu.Lock(); defer s.mu.Unlock(); return s.b.String() }

func up(t *testing.T, args ...string) *program {
	t.Helper()
	p := &program{dir: filepath.Join(t.TempDir(), "fleet"), stderr: &syncBuffer{}, exited: make(chan error, 1)}
	bin := newBinDir(t)
	p.cmd = exec.Command(filepath.Join(bin, "fleet"), append([]string{"up", "--json", "--pods", "2", "--bin-dir", bin,
		"--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--redis", "embedded", "--restart-after", "0s", "--batch", "10ms",
		"--weights-mb", "1", "--dir", p.dir}, args...)...)
	p.cmd.Stderr, p.cmd.Env = p.stderr, environ()
	stdout, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	r := bufio.NewReader(stdout)
	line, err := r.ReadBytes('\n')
	require.NoError(t, err, p.stderr)
	p.status = &fleetv1.StatusResponse{}
	require.NoError(t, protojson.Unmarshal(line, p.status))
	for _, process := range p.status.GetProcesses() {
		if process.GetName() == wire.FleetProcess {
			p.control = process.GetAddress()
		}
	}
	go func() {
		rest, err := io.ReadAll(r)
		if len(rest) > 0 {
			err = errors.New("more than one line: " + string(rest))
		}
		p.exited <- errors.Join(err, p.cmd.Wait())
	}()
	return p
}

// ends is whether the program ends without an error, and leaves nothing.
func (p *program) ends(t *testing.T) {
	t.Helper()
	select {
	case err := <-p.exited:
		require.NoError(t, err, p.stderr)
	case <-time.After(patience):
		require.Fail(t, "it does not end", p.stderr)
	}
	for _, pid := range pids(p.status) {
		require.False(t, alive(t, pid), pid)
	}
	require.NoDirExists(t, p.dir)
}

// verb runs another command in this process.
func (p *program) verb(t *testing.T, args ...string) string {
	t.Helper()
	out, err := command(t, []string{"FLEET_CONTROL=" + p.control}, args...)
	require.NoError(t, err)
	return out
}

func command(t *testing.T, environ []string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var out bytes.Buffer
	err := fleet.Run(ctx, args, environ, &out, io.Discard)
	return out.String(), err
}

func TestVerbsSteerARunningFleet(t *testing.T) {
	p := up(t)
	require.Equal(t, "endpoints version 3: jarvis-1 jarvis-2 jarvis-3\n", p.verb(t, "scale", "3"))
	require.Contains(t, p.verb(t, "kill", "jarvis-1"), "killed jarvis-1, which is back; endpoints version 3")
	require.Equal(t, "jarvis-2 is frozen; fleet thaw lets it go on\n", p.verb(t, "freeze", "jarvis-2"))

	table := p.verb(t, "ps")
	require.Regexp(t, `(?m)^ *jarvis-1 .*ready .*HEALTHY .*127\.0\.0\.11:\d+ .* 1 .* 41 .* 17 `, table)
	require.Regexp(t, `(?m)^ *jarvis-2 .*frozen`, table)
	require.Regexp(t, `(?m)^ *redis .*miniredis.*running`, table)

	require.Equal(t, "going on: jarvis-2\n", p.verb(t, "thaw"))
	require.Equal(t, "no pod was frozen\n", p.verb(t, "thaw"))
	require.Contains(t, p.verb(t, "stop", "jarvis-2"), "stopped jarvis-2; endpoints version")
	require.Equal(t, "redis is down\n", p.verb(t, "redis", "down"))
	require.Regexp(t, `(?m)^ *redis .*miniredis.*down`, p.verb(t, "ps"))
	require.Equal(t, "redis is up\n", p.verb(t, "redis", "up"))
	require.Equal(t, "killed smaran, which is back\n", p.verb(t, "smaran", "kill"))
	require.Contains(t, p.verb(t, "rollout"), "every pod is new; endpoints version")

	now := &fleetv1.StatusResponse{}
	line := p.verb(t, "ps", "--json")
	require.NoError(t, protojson.Unmarshal([]byte(line), now))
	require.Equal(t, 1, strings.Count(line, "\n"))
	require.Len(t, now.GetPods(), 3)
	p.status = now

	require.Equal(t, "the fleet is down\n", p.verb(t, "down"))
	p.ends(t)
	_, err := command(t, nil, "ps", "--control", p.control)
	require.ErrorIs(t, err, fleet.ErrNoFleet)
}

func TestErrorsOfChangesReachTheShell(t *testing.T) {
	p := up(t)
	_, err := command(t, nil, "kill", "jarvis-9", "--control", p.control)
	require.EqualError(t, err, `no such pod: "jarvis-9": fleet ps lists them`)
	_, err = command(t, nil, "thaw", "jarvis-1", "--control", p.control)
	require.EqualError(t, err, "not possible now: jarvis-1 is not frozen")
	p.verb(t, "down")
	p.ends(t)
}

func TestNoFleetThere(t *testing.T) {
	_, err := command(t, []string{"FLEET_CONTROL=127.0.0.1:1"}, "scale", "3")
	require.ErrorIs(t, err, fleet.ErrNoFleet)
	require.ErrorContains(t, err, "nothing answers at 127.0.0.1:1; start one with: "+os.Args[0]+" up")
}

func TestSignalsEndTheFleet(t *testing.T) {
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(signal.String(), func(t *testing.T) {
			p := up(t)
			require.NoError(t, p.cmd.Process.Signal(signal))
			p.ends(t)
		})
	}
}

func TestNothingOutlivesAKilledFleet(t *testing.T) {
	p := up(t)
	all := pids(p.status)
	require.Len(t, all, 4) // two pods, smaran, mesh
	for _, pid := range all {
		require.True(t, alive(t, pid), "control: it runs before")
	}
	require.NoError(t, p.cmd.Process.Kill())
	require.Error(t, <-p.exited)
	for _, pid := range all {
		eventually(t, func() bool { return !alive(t, pid) }, "process %d outlives the fleet", pid)
	}

	// Its files could not be removed; the next fleet in that directory does it.
	left, err := filepath.Glob(filepath.Join(p.dir, "run-*"))
	require.NoError(t, err)
	require.Len(t, left, 1)
	startFleet(t, func(c *fleet.Config) { c.Dir = p.dir })
	require.NoDirExists(t, left[0])
}

func TestSecondFleetAtOneControlAddressIsToldOfTheFirst(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer busy.Close()
	_, err = command(t, nil, "up", "--control", busy.Addr().String(), "--bin-dir", newBinDir(t), "--dir", t.TempDir())
	require.ErrorContains(t, err, "another fleet may run: see it with fleet ps")
}

func TestControlRefusesOtherHosts(t *testing.T) {
	p := up(t)
	status := func(host string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
			"http://"+p.control+"/fleet.v1.FleetService/Status", strings.NewReader("{}"))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/json")
		req.Host, req.Close = host, true
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer res.Body.Close()
		return res.StatusCode
	}
	require.Equal(t, http.StatusForbidden, status("evil.example:7070"))
	require.Equal(t, http.StatusOK, status("localhost:7070"))
	require.Equal(t, http.StatusOK, status(p.control))
	p.verb(t, "down")
	p.ends(t)
}

func TestCommandLine(t *testing.T) {
	out, err := command(t, nil)
	require.NoError(t, err)
	require.Contains(t, out, "Usage: fleet <command>")
	require.NotContains(t, out, "guard", "it is for the fleet itself")

	out, err = command(t, nil, "up", "--help")
	require.NoError(t, err)
	require.Contains(t, out, "stateful-cookie")

	for _, args := range [][]string{{"up", "--pods", "x"}, {"up", "--backend", "sticky"}, {"redis", "sideways"}, {"smaran", "praise"}, {"frobnicate"}, {"scale"}} {
		_, err := command(t, nil, args...)
		require.ErrorContains(t, err, "fleet --help shows what there is", args)
	}
}

func TestBannerSaysWhatToDoNext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- fleet.Run(ctx, []string{"up", "--pods", "1", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--redis", "embedded",
			"--bin-dir", newBinDir(t), "--dir", filepath.Join(t.TempDir(), "out")}, nil, w, io.Discard)
		_ = w.Close()
	}()
	var text strings.Builder
	scanner := bufio.NewScanner(r)
	for scanner.Scan() {
		text.WriteString(scanner.Text() + "\n")
		if strings.HasPrefix(scanner.Text(), "Ctrl-C") {
			break
		}
	}
	require.Regexp(t, `curl -H 'x-call-session-id: demo-1' http://127\.0\.0\.1:\d+/inference`, text.String())
	require.Regexp(t, `scale 5 --control 127\.0\.0\.1:\d+`, text.String())
	cancel()
	require.NoError(t, <-done)
}
