package stage_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/shirou/gopsutil/v4/process"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/smaran-v2/smaran/loadtest/internal/driver/drivertest"
	"github.com/smaran-v2/smaran/loadtest/internal/stageclient"
	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
)

// patience is how long something may take on a machine that others use too.
const patience = time.Minute

// show is `fleet up` with a stage.
type show struct {
	fleet   string
	cmd     *exec.Cmd
	began   time.Time
	stage   stageclient.Client
	control string
	dir     string
	stderr  *bytes.Buffer // read it once the program has ended
	lines   chan string
}

// open starts a show with the flags that `make stage` has, at free ports.
func open(t *testing.T) *show {
	t.Helper()
	bin := t.TempDir()
	drivertest.Build(t, filepath.Join("..", "..", ".."), bin, "services", "loadtest")
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	s := &show{
		fleet: filepath.Join(bin, "fleet"), dir: filepath.Join(t.TempDir(), "fleet"), stderr: &bytes.Buffer{}, lines: make(chan string, 100),
		stage: stageclient.Client{HTTP: &http.Client{Transport: transport}},
	}
	s.cmd = exec.Command(s.fleet, "up", "--stage", "127.0.0.1:0", "--backend", "handoff", "--beside", "istio-hash",
		"--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--dir", s.dir)
	s.cmd.Stderr = s.stderr
	stdout, err := s.cmd.StdoutPipe()
	require.NoError(t, err)
	s.began = time.Now()
	require.NoError(t, s.cmd.Start())
	t.Cleanup(func() { _ = s.cmd.Process.Kill() })
	go func() {
		defer close(s.lines)
		for in := bufio.NewScanner(stdout); in.Scan(); {
			s.lines <- in.Text()
		}
	}()
	s.stage.Base = s.line(t, `^the page: (http://\S+)/$`)
	return s
}

// line is what the program says next that matches, the part in parentheses.
func (s *show) line(t *testing.T, pattern string) string {
	t.Helper()
	matches := regexp.MustCompile(pattern)
	late := time.After(patience)
	for {
		select {
		case line, more := <-s.lines:
			if !more {
				require.Failf(t, "it ended", "before it said %s", pattern)
			}
			if found := matches.FindStringSubmatch(line); found != nil {
				return found[1]
			}
		case <-late:
			require.Failf(t, "it did not say", pattern)
		}
	}
}

// page is what the stage serves as its page.
func (s *show) page(t *testing.T) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.stage.Base+"/", nil)
	require.NoError(t, err)
	res, err := s.stage.HTTP.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, http.StatusOK, res.StatusCode)
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return string(text)
}

// scene is all that the page is shown now.
type scene struct{ *stagev1.Frame }

func (s *show) scene(t *testing.T) scene {
	t.Helper()
	f, err := s.stage.State(t.Context())
	require.NoError(t, err)
	return scene{f}
}

// await looks until the scene is as it should be.
func (s *show) await(t *testing.T, what string, is func(scene) bool) scene {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	last := &stagev1.Frame{}
	f, err := s.stage.Await(ctx, func(f *stagev1.Frame) (bool, error) {
		last = f
		return is(scene{f}), nil
	})
	require.NoError(t, err, "%s\n%s", what, protojson.Format(&stagev1.Frame{Lanes: last.Lanes, Pods: last.Pods, Events: last.Events}))
	return scene{f}
}

// order gives an order, and returns once every lane that it was for has carried it out.
func (s *show) order(t *testing.T, verb, body string, lanes int) (events map[string]*stagev1.Event) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	group, err := s.stage.Order(ctx, verb, body)
	require.NoError(t, err)
	carried, err := s.stage.Carried(ctx, group)
	require.NoError(t, err, verb+" "+body)
	events = map[string]*stagev1.Event{}
	for _, e := range carried {
		events[e.GetLane()] = e
	}
	require.Len(t, events, lanes, verb+" "+body)
	return events
}

func (s scene) lane(id string) *stagev1.Lane {
	for _, l := range s.GetLanes() {
		if l.GetId() == id {
			return l
		}
	}
	return &stagev1.Lane{}
}

// pods of a lane that are ready.
func (s scene) pods(lane string) (ready []*stagev1.Pod) {
	for _, p := range s.GetPods() {
		if p.GetLane() == lane && p.GetPhase() == stagev1.PodPhase_POD_PHASE_READY {
			ready = append(ready, p)
		}
	}
	return ready
}

// answered are the sessions of a lane's crowd that had an answer, and up those of them whose call is up.
func (s scene) answered(lane string) (answered, up int) {
	for _, one := range s.GetSessions() {
		if one.GetLane() == lane && !one.GetBrowser() && one.GetState() != "" && one.GetState() != "failed" {
			answered++
			if one.GetCallUp() {
				up++
			}
		}
	}
	return answered, up
}

// processes are this program and all that it started.
func (s *show) processes(t *testing.T) []*process.Process {
	t.Helper()
	self, err := process.NewProcessWithContext(t.Context(), int32(s.cmd.Process.Pid))
	require.NoError(t, err)
	children, err := self.ChildrenWithContext(t.Context())
	require.NoError(t, err)
	return append(children, self)
}

// memory is how much of the machine's memory all of them have, in MiB: resident sets, of which pages of the same program count each time.
func (s *show) memory(t *testing.T) uint64 {
	t.Helper()
	var sum uint64
	for _, p := range s.processes(t) {
		m, err := p.MemoryInfoWithContext(t.Context())
		require.NoError(t, err)
		sum += m.RSS
	}
	return sum >> 20
}

// ended checks that the program ended well, and left nothing.
func (s *show) ended(t *testing.T, all []*process.Process) {
	t.Helper()
	for range s.lines { // until its end
	}
	require.NoError(t, s.cmd.Wait(), s.stderr)
	for _, p := range all {
		require.ErrorIs(t, syscall.Kill(int(p.Pid), 0), syscall.ESRCH, "process %d", p.Pid)
	}
	require.NoDirExists(t, s.dir)
}
