package fleet_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"

	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/fleet"
	"github.com/smaran-v2/smaran/services/wire"
)

// patience is how long a test waits for real processes.
const patience = 20 * time.Second

// longGrace is more than the end of a fleet that waits for no grace takes on a busy machine.
const longGrace = time.Minute

// harness is a fleet of doubles.
type harness struct {
	*fleet.Fleet
	cfg fleet.Config
}

// config is quick: what waits in production does not, unless the test changes it.
func config(t *testing.T, change func(*fleet.Config)) fleet.Config {
	t.Helper()
	cfg := fleet.Config{
		Pods: 3, Backend: "istio-hash", Listen: "127.0.0.1:0", Control: "127.0.0.1:0", Mesh: fleet.MeshGo,
		RingSize: 1024, Redis: fleet.RedisEmbedded, Seed: 1, WeightsMB: 1, SessionMode: "strict",
		Grace: 2 * time.Second, Detect: time.Hour, RestartAfter: 0, Batch: 20 * time.Millisecond, StartTimeout: patience,
		Dir: filepath.Join(t.TempDir(), "out", "fleet"), PortBase: 21080, LogLevel: "info",
	}
	if change != nil {
		change(&cfg)
	}
	if cfg.BinDir == "" {
		cfg.BinDir = newBinDir(t)
	}
	return cfg
}

func newFleet(t *testing.T, clock clockwork.Clock, change func(*fleet.Config)) *harness {
	t.Helper()
	cfg := config(t, change)
	f, err := fleet.New(t.Context(), cfg, fleet.Options{
		Self: filepath.Join(cfg.BinDir, "fleet"), Environ: append(environ(), "JARVIS_STRAY=1", "OTEL_SERVICE_NAMESPACE=demo"),
		Control: "127.0.0.1:1", Clock: clock, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	return &harness{Fleet: f, cfg: cfg}
}

// environ has doubles built with the race detector end without the second that it sleeps.
func environ() []string { return append(os.Environ(), "GORACE=atexit_sleep_ms=0") }

func startFleet(t *testing.T, change func(*fleet.Config)) *harness {
	t.Helper()
	h := newFleet(t, clockwork.NewRealClock(), change)
	require.NoError(t, h.Start(t.Context()))
	return h
}

// versions prints every version of the endpoints as the pods' numbers, with * behind those that drain.
func (h *harness) versions() []string {
	var out []string
	for _, v := range h.Status().GetHistory() {
		out = append(out, brief(v))
	}
	return out
}

func brief(e *fleetv1.Endpoints) string {
	var pods []string
	for _, p := range e.GetEndpoints() {
		pod := strings.TrimPrefix(p.GetPod(), "jarvis-")
		if p.GetHealth() == endpoints.Draining.String() {
			pod += "*"
		}
		pods = append(pods, pod)
	}
	return strings.Join(pods, " ")
}

func (h *harness) pod(t *testing.T, name string) *fleetv1.Pod {
	t.Helper()
	for _, p := range h.Status().GetPods() {
		if p.GetName() == name {
			return p
		}
	}
	require.Failf(t, "no such pod", "%s among %v", name, h.Status().GetPods())
	return nil
}

func (h *harness) process(t *testing.T, name string) *fleetv1.Process {
	t.Helper()
	for _, p := range h.Status().GetProcesses() {
		if p.GetName() == name {
			return p
		}
	}
	require.Failf(t, "no such process", name)
	return nil
}

func (h *harness) names() []string {
	var out []string
	for _, p := range h.Status().GetPods() {
		out = append(out, p.GetName())
	}
	return out
}

// file is the endpoints file.
func (h *harness) file(t *testing.T) endpoints.Set {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(h.cfg.Dir, "run-*", "endpoints.json"))
	require.NoError(t, err)
	require.Len(t, found, 1)
	set, err := endpoints.ReadFile(found[0])
	require.NoError(t, err)
	return set
}

// pids are all processes of the fleet but itself, which an embedded Redis runs in.
func pids(s *fleetv1.StatusResponse) []int {
	var out []int
	for _, p := range s.GetPods() {
		out = append(out, int(p.GetPid()))
	}
	var self int64
	for _, p := range s.GetProcesses() {
		if p.GetName() == wire.FleetProcess {
			self = p.GetPid()
		} else if p.GetPid() != self {
			out = append(out, int(p.GetPid()))
		}
	}
	return out
}

func eventually(t *testing.T, condition func() bool, what string, args ...any) {
	t.Helper()
	require.Eventuallyf(t, condition, patience, 5*time.Millisecond, what, args...)
}

// state is the process's state in /proc, such as S, T (stopped) or Z (dead, not reaped yet); "" means that it is gone.
func state(t *testing.T, pid int) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return ""
	}
	_, rest, found := strings.Cut(string(b), ") ")
	require.True(t, found)
	return rest[:1]
}

func alive(t *testing.T, pid int) bool {
	t.Helper()
	s := state(t, pid)
	return s != "" && s != "Z" && s != "X"
}

func get(t *testing.T, url string, out any, header ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	require.NoError(t, err)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, res.StatusCode, string(body))
	require.NoError(t, json.Unmarshal(body, out), string(body))
}

// sortedAll takes the order of joining out of versions.
func sortedAll(versions []string) []string {
	out := make([]string, len(versions))
	for i, v := range versions {
		pods := strings.Fields(v)
		slices.Sort(pods)
		out[i] = strings.Join(pods, " ")
	}
	return out
}
