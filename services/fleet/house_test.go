package fleet_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"

	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	"github.com/smaran-v2/smaran/proto/fleet/v1/fleetv1connect"
	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/services/fleet"
	"github.com/smaran-v2/smaran/services/stage"
	"github.com/smaran-v2/smaran/services/stage/venue"
)

// house is a House of doubles with two lanes, istio-hash beside roundrobin, and a stage that notes which crowds attach.
type house struct {
	*fleet.House
	cfg      fleet.Config
	attached chan string
}

// attachments is the stage's end of the crowds' streams.
type attachments chan string

func (a attachments) Attach(ctx context.Context, s *connect.BidiStream[stagev1.AttachRequest, stagev1.AttachResponse]) error {
	hello, err := s.Receive()
	if err != nil {
		return err
	}
	a <- hello.GetHello().GetLane()
	_, err = s.Receive() // for as long as the crowd is there
	return err
}

func newHouse(t *testing.T, change func(*fleet.Config)) *house {
	t.Helper()
	cfg := config(t, change)
	h := &house{cfg: cfg, attached: make(chan string, 16)}
	crowds := httptest.NewUnstartedServer(stage.CrowdHandler(attachments(h.attached)))
	crowds.Config.Protocols = new(http.Protocols)
	crowds.Config.Protocols.SetUnencryptedHTTP2(true)
	crowds.Start()
	t.Cleanup(crowds.Close)
	var err error
	h.House, err = fleet.NewHouse(t.Context(), cfg,
		fleet.HouseConfig{Beside: "roundrobin", BesideControl: "127.0.0.1:2", Stage: "127.0.0.1:3", Crowds: crowds.URL},
		fleet.Options{
			Self: filepath.Join(cfg.BinDir, "fleet"), Environ: environ(), Control: "127.0.0.1:1",
			Clock: clockwork.NewRealClock(), Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	return h
}

func openHouse(t *testing.T, change func(*fleet.Config)) *house {
	t.Helper()
	h := newHouse(t, change)
	require.NoError(t, h.Start(t.Context()))
	return h
}

// lane is the first one, 0, or the one beside it, 1.
func (h *house) lane(i int) fleetv1connect.FleetServiceHandler { return h.Lanes()[i].Fleet }

func (h *house) status(t *testing.T, lane int) *fleetv1.StatusResponse {
	t.Helper()
	res, err := h.lane(lane).Status(t.Context(), connect.NewRequest(&fleetv1.StatusRequest{}))
	require.NoError(t, err)
	return res.Msg
}

func addresses(s *fleetv1.StatusResponse) map[string]string {
	out := map[string]string{"smaran": s.GetSmaranUrl(), "mesh": s.GetMeshUrl()}
	for _, p := range s.GetPods() {
		out[p.GetName()] = p.GetAddress()
	}
	return out
}

func processNamed(s *fleetv1.StatusResponse, name string) *fleetv1.Process {
	for _, p := range s.GetProcesses() {
		if p.GetName() == name {
			return p
		}
	}
	return nil
}

func TestLanesAreAlikeButForTheirBackendAndPorts(t *testing.T) {
	h := openHouse(t, func(c *fleet.Config) { c.Seed = 0 })
	lanes := h.Lanes()
	require.Len(t, lanes, 2)
	a, b := h.status(t, 0), h.status(t, 1)
	require.Equal(t, []string{"istio-hash ring", "roundrobin round_robin"}, []string{a.GetBackend() + " " + a.GetPolicy(), b.GetBackend() + " " + b.GetPolicy()})
	taken := map[string]bool{}
	for i, s := range []*fleetv1.StatusResponse{a, b} {
		require.Equal(t, []string{"a", "b"}[i], lanes[i].ID)
		require.Equal(t, s.GetSmaranUrl(), lanes[i].Smaran)
		require.Equal(t, s.GetSmaranUrl(), lanes[i].Smaran)
		require.Equal(t, 3, lanes[i].Pods)
		require.Contains(t, lanes[i].Backends, "stateful-cookie")
		for name, address := range addresses(s) {
			require.False(t, taken[address], "%s of lane %d has an address of its own", name, i)
			taken[address] = true
		}
		require.Equal(t, "127.0.0.1:3", processNamed(s, "stage").GetAddress())
	}
	require.Equal(t, "127.0.0.1:2", processNamed(a, "fleet-b").GetAddress())
	require.Equal(t, "127.0.0.1:1", processNamed(b, "fleet-a").GetAddress())

	seed := func(s *fleetv1.StatusResponse) string {
		var env []string
		get(t, "http://"+s.GetPods()[1].GetAdmin()+"/environ", &env)
		return lookup(env, "JARVIS_SEED")
	}
	require.NotEmpty(t, seed(a))
	require.Equal(t, seed(a), seed(b), "a seed is taken for both where none was given")
}

func TestRecastKeepsTheLanesAddressesAndWhatSteersIt(t *testing.T) {
	h := openHouse(t, nil)
	for i, id := range []string{"a", "b"} {
		service, before := h.lane(i), h.status(t, i)
		_, err := service.Scale(t.Context(), connect.NewRequest(&fleetv1.ScaleRequest{Pods: 4}))
		require.NoError(t, err)
		for _, name := range []string{"handoff", "redis", "redis"} {
			old := pids(h.status(t, i))
			require.NoError(t, h.Recast(t.Context(), id, name))
			for _, pid := range old {
				if pid != int(processNamed(before, "crowd").GetPid()) {
					require.False(t, alive(t, pid), "%d of the fleet before", pid)
				}
			}
			after := h.status(t, i)
			require.Equal(t, name, after.GetBackend())
			require.Equal(t, addresses(before), addresses(after), "as many pods as it began with, at the same addresses")
			require.Equal(t, processNamed(before, "crowd").GetPid(), processNamed(after, "crowd").GetPid(), "the crowd stays")
			require.Equal(t, "backend "+name+" in place of ", lastRecast(after), "and the notices tell")
		}
		res, err := service.Kill(t.Context(), connect.NewRequest(&fleetv1.KillRequest{Pod: "jarvis-1"}))
		require.NoError(t, err)
		require.Equal(t, "jarvis-1", res.Msg.GetPod())
		require.EqualValues(t, 1, h.status(t, i).GetPods()[0].GetRestarts(), "what steered the first fleet steers the last")
	}
}

// lastRecast is the beginning of the last notice of one.
func lastRecast(s *fleetv1.StatusResponse) string {
	last := ""
	for _, n := range s.GetNotices() {
		if before, _, found := strings.Cut(n.GetText(), " in place of "); found {
			last = before + " in place of "
		}
	}
	return last
}

func TestRecastToWhatIsNotThere(t *testing.T) {
	h := openHouse(t, func(c *fleet.Config) { c.Grace = 0 })
	before := pids(h.status(t, 0))
	err := h.Recast(t.Context(), "c", "redis")
	require.ErrorIs(t, err, venue.ErrUnknown)
	require.ErrorContains(t, err, "there are a, b")
	err = h.Recast(t.Context(), "a", "sticky")
	require.ErrorIs(t, err, venue.ErrUnknown)
	require.ErrorContains(t, err, "use one of roundrobin")
	err = h.Recast(t.Context(), "a", "handoff")
	require.ErrorIs(t, err, venue.ErrNotHere, "its pods need a grace")
	require.NotContains(t, h.Lanes()[0].Backends, "handoff")
	require.Equal(t, before, pids(h.status(t, 0)), "the lane has the fleet that it had")
}

func TestRecastThatFailsLeavesTheLaneDownUntilTheNext(t *testing.T) {
	h := openHouse(t, nil)
	before := addresses(h.status(t, 0))
	well := misbehave(t, h.cfg.BinDir, "jarvis", crash, "weights file is torn")
	err := h.Recast(t.Context(), "a", "redis")
	require.ErrorIs(t, err, fleet.ErrLaneDown)
	require.ErrorContains(t, err, "weights file is torn")

	_, err = h.lane(0).Status(t.Context(), connect.NewRequest(&fleetv1.StatusRequest{}))
	require.Equal(t, connect.CodeUnavailable, connect.CodeOf(err))
	require.ErrorContains(t, err, "lane a: no fleet now: backend redis: jarvis-")
	_, err = h.lane(0).Scale(t.Context(), connect.NewRequest(&fleetv1.ScaleRequest{Pods: 2}))
	require.Equal(t, connect.CodeUnavailable, connect.CodeOf(err))
	require.Len(t, h.status(t, 1).GetPods(), 3, "the other lane goes on")

	well()
	require.NoError(t, h.Recast(t.Context(), "a", "redis"))
	require.Equal(t, before, addresses(h.status(t, 0)))
}

func TestRecastWhosePortsWereTakenFails(t *testing.T) {
	h := openHouse(t, nil)
	well := misbehave(t, h.cfg.BinDir, "jarvis", crash, "")
	require.Error(t, h.Recast(t.Context(), "a", "redis"))
	well()
	busy, err := net.Listen("tcp", strings.TrimPrefix(h.Lanes()[0].Smaran, "http://"))
	require.NoError(t, err)
	require.ErrorIs(t, h.Recast(t.Context(), "a", "redis"), fleet.ErrAddress)
	require.NoError(t, busy.Close())
	require.NoError(t, h.Recast(t.Context(), "a", "redis"))
}

func TestRecastWaitsForTheChangeThatIsBeingMade(t *testing.T) {
	h := openHouse(t, nil)
	misbehave(t, h.cfg.BinDir, "jarvis", deaf, "jarvis-4")
	scaling, stop := context.WithCancel(t.Context())
	scaled := make(chan error, 1)
	go func() {
		_, err := h.lane(0).Scale(scaling, connect.NewRequest(&fleetv1.ScaleRequest{Pods: 4}))
		scaled <- err
	}()
	eventually(t, func() bool { return len(h.status(t, 0).GetPods()) == 4 }, "the fourth pod starts")
	impatient, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, h.Recast(impatient, "a", "redis"), context.DeadlineExceeded)
	require.Equal(t, "istio-hash", h.status(t, 0).GetBackend(), "the lane has the fleet that it had")
	stop()
	require.Error(t, <-scaled)
	require.NoError(t, h.Recast(t.Context(), "a", "redis"))
}

func TestHouseClosesInTheMiddleOfARecast(t *testing.T) {
	h := openHouse(t, func(c *fleet.Config) { c.Grace = longGrace })
	all := append(pids(h.status(t, 0)), pids(h.status(t, 1))...)
	misbehave(t, h.cfg.BinDir, "jarvis", deaf, "")
	recast := make(chan error, 1)
	go func() { recast <- h.Recast(t.Context(), "b", "redis") }()
	eventually(t, func() bool {
		res, err := h.lane(1).Status(t.Context(), connect.NewRequest(&fleetv1.StatusRequest{}))
		return err == nil && res.Msg.GetBackend() == "redis" && len(res.Msg.GetPods()) == 3
	}, "pods that don't get ready")
	all = append(all, pids(h.status(t, 1))...)

	begin := time.Now()
	require.NoError(t, h.Close())
	require.Less(t, time.Since(begin), longGrace)
	require.ErrorIs(t, <-recast, fleet.ErrClosed)
	for _, pid := range all {
		require.False(t, pid != 0 && alive(t, pid), pid)
	}
	require.NoDirExists(t, filepath.Dir(h.cfg.Dir))
	for _, l := range h.Lanes() {
		free, err := net.Listen("tcp", strings.TrimPrefix(l.Smaran, "http://"))
		require.NoError(t, err)
		require.NoError(t, free.Close())
	}
	require.ErrorIs(t, h.Recast(t.Context(), "a", "redis"), fleet.ErrClosed)
}

func TestDownOfOneLaneEndsAll(t *testing.T) {
	h := openHouse(t, nil)
	_, err := h.lane(1).Down(t.Context(), connect.NewRequest(&fleetv1.DownRequest{}))
	require.NoError(t, err)
	<-h.Closed()
	_, err = h.lane(0).Scale(t.Context(), connect.NewRequest(&fleetv1.ScaleRequest{Pods: 2}))
	require.Equal(t, connect.CodeUnavailable, connect.CodeOf(err))
}

func TestLogsOfAllFleetsOfALaneAreKeptOnRequest(t *testing.T) {
	dir := t.TempDir()
	h := openHouse(t, func(c *fleet.Config) { c.Dir, c.KeepLogs = dir, true })
	require.NoError(t, h.Recast(t.Context(), "a", "redis"))
	require.NoError(t, h.Close())
	for pattern, want := range map[string]int{"logs-*/jarvis-1.log": 3, "logs-*/crowd-?.log": 2, "run-*": 0} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		require.NoError(t, err)
		require.Len(t, found, want, pattern)
	}
}

func TestEachLaneHasACrowdThatIsKeptRunning(t *testing.T) {
	h := openHouse(t, nil)
	require.ElementsMatch(t, []string{"a", "b"}, []string{<-h.attached, <-h.attached})
	require.Contains(t, h.Lanes()[1].Verbs, venue.Load)
	require.Empty(t, h.Lanes()[1].Reason)

	crowd := processNamed(h.status(t, 1), "crowd")
	require.True(t, crowd.GetRunning())
	process, err := os.FindProcess(int(crowd.GetPid()))
	require.NoError(t, err)
	require.NoError(t, process.Kill())
	require.Equal(t, "b", <-h.attached, "it attaches anew")
	notices := h.status(t, 1).GetNotices()
	last := notices[len(notices)-1]
	require.Contains(t, last.GetText(), "crowd died without being asked to (signal: killed)")
	require.Contains(t, last.GetLogLines(), "double starts")
	for _, n := range h.status(t, 0).GetNotices() {
		require.NotContains(t, n.GetText(), "crowd died", "the other lane has its own")
	}
}

func TestNobodyCallsBeforeTheFleetsAreThere(t *testing.T) {
	bin := newBinDir(t)
	well := misbehave(t, bin, "mesh", deaf, "")
	h := newHouse(t, func(c *fleet.Config) { c.BinDir = bin })
	started := make(chan error, 1)
	go func() { started <- h.Start(t.Context()) }()
	for i := range h.Lanes() {
		eventually(t, func() bool {
			s := h.status(t, i)
			return len(s.GetPods()) == 3 && processNamed(s, "smaran").GetRunning()
		}, "all but the mesh")
		require.False(t, processNamed(h.status(t, i), "crowd").GetRunning())
	}
	require.Empty(t, h.attached)
	well()
	require.NoError(t, <-started)
	for i := range h.Lanes() {
		require.True(t, processNamed(h.status(t, i), "crowd").GetRunning())
	}
}

func TestWithoutItsProgramThereIsNoCrowd(t *testing.T) {
	bin := newBinDir(t)
	require.NoError(t, os.Remove(filepath.Join(bin, "loadtest")))
	h := openHouse(t, func(c *fleet.Config) { c.BinDir = bin })
	for i, l := range h.Lanes() {
		require.NotContains(t, l.Verbs, venue.Load)
		require.NotContains(t, l.Verbs, venue.Header)
		require.Contains(t, l.Verbs, venue.Scale)
		require.Contains(t, l.Reason, "there is no crowd: program not found: loadtest is not in "+bin+": run make build")
		require.Nil(t, processNamed(h.status(t, i), "crowd"))
	}
}
