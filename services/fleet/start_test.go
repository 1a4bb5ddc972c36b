package fleet_test

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"

	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/fleet"
	"github.com/smaran-v2/smaran/services/mesh"
	"github.com/smaran-v2/smaran/services/smaran/backend"
)

func TestFirstPodsShareOneVersion(t *testing.T) {
	h := startFleet(t, nil)
	require.Equal(t, []string{"", "1 2 3"}, h.versions())

	var want []endpoints.Endpoint
	for _, p := range h.Status().GetPods() {
		require.Equal(t, fleetv1.PodPhase_POD_PHASE_READY, p.GetPhase())
		require.True(t, alive(t, int(p.GetPid())))
		want = append(want, endpoints.Endpoint{Pod: p.GetName(), Address: p.GetAddress(), Health: endpoints.Healthy})
	}
	require.Equal(t, endpoints.Set{Version: "2", Endpoints: want}, h.file(t))

	for _, name := range []string{"smaran", "mesh", "redis"} {
		require.True(t, h.process(t, name).GetRunning(), name)
	}
	require.Equal(t, "ring", h.Status().GetPolicy())
}

func TestEachPodHasItsOwnAddressAndTheSamePorts(t *testing.T) {
	h := startFleet(t, nil)
	var ports []string
	for i, p := range h.Status().GetPods() {
		host, port, err := net.SplitHostPort(p.GetAddress())
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("127.0.0.%d", 11+i), host)
		ports = append(ports, port)
	}
	require.Equal(t, []string{ports[0], ports[0], ports[0]}, ports)
}

func TestPodsOfOneAddressHavePortsOfTheirOwn(t *testing.T) {
	h := startFleet(t, func(c *fleet.Config) { c.OneAddress = true })
	_, err := h.Scale(t.Context(), 5)
	require.NoError(t, err)
	all := map[string]bool{}
	for _, p := range h.Status().GetPods() {
		for _, address := range []string{p.GetAddress(), p.GetAdmin()} {
			host, _, err := net.SplitHostPort(address)
			require.NoError(t, err)
			require.Equal(t, "127.0.0.1", host)
			all[address] = true
		}
	}
	require.Len(t, all, 10)
}

func TestChildrenGetTheirOwnEnvironmentOnly(t *testing.T) {
	h := startFleet(t, func(c *fleet.Config) {
		c.Env = []string{"JARVIS_MAX_CALLS=7", "JARVIS_WEIGHTS_MB=5", "SMARAN_MAX_BODY=9"}
	})
	var pod []string
	get(t, "http://"+h.pod(t, "jarvis-2").GetAdmin()+"/environ", &pod)
	require.Contains(t, pod, "JARVIS_POD=jarvis-2")
	require.Contains(t, pod, "JARVIS_ADDRESS="+h.pod(t, "jarvis-2").GetAddress())
	require.Contains(t, pod, "JARVIS_MAX_CALLS=7")
	require.Contains(t, pod, "JARVIS_WEIGHTS_MB=5", "what the user sets replaces what the fleet would")
	require.NotContains(t, pod, "JARVIS_WEIGHTS_MB=1")
	require.Contains(t, pod, "OTEL_SERVICE_NAMESPACE=demo")
	for _, entry := range pod {
		require.False(t, strings.HasPrefix(entry, "JARVIS_STRAY"), "the user's own shell must not reach a pod")
		require.False(t, strings.HasPrefix(entry, "SMARAN_"), entry)
		require.False(t, strings.HasPrefix(entry, "HOME="), entry)
	}
}

func TestBothSidesOfTheRegisterAgreeOnItsTTL(t *testing.T) {
	h := startFleet(t, func(c *fleet.Config) { c.RedisTTL, c.Policy = 7*time.Minute, mesh.Maglev })
	var pod, smaran []string
	get(t, "http://"+h.pod(t, "jarvis-1").GetAdmin()+"/environ", &pod)
	get(t, "http://"+h.process(t, "smaran").GetAdmin()+"/environ", &smaran)
	require.Contains(t, pod, "JARVIS_REDIS_TTL=7m0s")
	require.Contains(t, smaran, "SMARAN_REDIS_TTL=7m0s")
	require.Contains(t, smaran, "SMARAN_MESH_POLICY=maglev")
}

func TestPolicyFollowsTheBackend(t *testing.T) {
	for _, tc := range []struct {
		backend      backend.Name
		policy, want mesh.Policy
	}{
		{"istio-hash", "", "ring"},
		{"istio-hash", "maglev", "maglev"},
		{"stateful-header", "", "stateful-header"},
		{"stateful-cookie", "", "stateful-cookie"},
		{"redis", "", "round_robin"},
	} {
		t.Run(string(tc.backend)+" "+string(tc.policy), func(t *testing.T) {
			h := newFleet(t, clockwork.NewRealClock(), func(c *fleet.Config) { c.Backend, c.Policy = tc.backend, tc.policy })
			require.Equal(t, string(tc.want), h.Status().GetPolicy())
			if tc.want == mesh.Ring {
				require.EqualValues(t, 1024, h.Status().GetRingSize())
			} else {
				require.Zero(t, h.Status().GetRingSize(), "it has no ring")
			}
		})
	}
}

func TestOptionsThatTheMeshRefusesEndTheStart(t *testing.T) {
	for name, change := range map[string]func(*fleet.Config){
		"policy":   func(c *fleet.Config) { c.Policy = "sticky" },
		"variable": func(c *fleet.Config) { c.Env = []string{"MESH_STICKY=1"} },
	} {
		t.Run(name, func(t *testing.T) {
			_, err := fleet.New(t.Context(), config(t, change), fleet.Options{Clock: clockwork.NewRealClock(), Log: slog.New(slog.DiscardHandler)})
			require.ErrorIs(t, err, fleet.ErrConfig)
			require.ErrorIs(t, err, mesh.ErrOptions)
		})
	}
}

func TestTwoFleetsAtOnceDoNotMix(t *testing.T) {
	first, second := startFleet(t, nil), startFleet(t, nil)
	require.NotEqual(t, first.pod(t, "jarvis-1").GetAddress(), second.pod(t, "jarvis-1").GetAddress())
	moved := 0
	for _, h := range []*harness{first, second} {
		if notices := h.Status().GetNotices(); len(notices) > 0 && strings.Contains(notices[0].GetText(), "are taken; using those from") {
			moved++
		}
	}
	require.Positive(t, moved, "the one that moved says so")
}

func TestTakenPodPortMovesAllPods(t *testing.T) {
	plain := newFleet(t, clockwork.NewRealClock(), nil)
	base := plain.process(t, "mesh").GetAddress()
	require.NoError(t, plain.Close())
	host, port, err := net.SplitHostPort(base)
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1", host)

	var number int
	_, err = fmt.Sscan(port, &number)
	require.NoError(t, err)
	busy, err := net.Listen("tcp", fmt.Sprintf("127.0.0.12:%d", number-3)) // the second pod's
	require.NoError(t, err)
	defer busy.Close()
	h := startFleet(t, nil)
	require.NotEqual(t, base, h.process(t, "mesh").GetAddress())
}

func TestCrashLoopEndsTheStartWithItsReason(t *testing.T) {
	bin := newBinDir(t)
	misbehave(t, bin, "jarvis", crash, "weights file is torn")
	h := newFleet(t, clockwork.NewRealClock(), func(c *fleet.Config) { c.BinDir = bin })
	err := h.Start(t.Context())
	require.ErrorIs(t, err, fleet.ErrNotReady)
	require.Regexp(t, `^jarvis-\d died 3 times before it was ready \(exit status 1\); its last lines:`, err.Error())
	require.ErrorContains(t, err, "weights file is torn")
	require.NoError(t, h.Close())
	require.NoDirExists(t, filepath.Dir(h.cfg.Dir))
}

func TestOneThatNeverGetsReadyEndsTheStart(t *testing.T) {
	bin := newBinDir(t)
	misbehave(t, bin, "mesh", deaf, "")
	h := newFleet(t, clockwork.NewRealClock(), func(c *fleet.Config) { c.BinDir, c.StartTimeout = bin, 300*time.Millisecond })
	require.ErrorContains(t, h.Start(t.Context()), "mesh died 3 times before it was ready (not ready within 300ms, killed)")
}

func TestMissingProgramIsNamedBeforeAnythingStarts(t *testing.T) {
	bin := newBinDir(t)
	require.NoError(t, os.Remove(filepath.Join(bin, "jarvis")))
	cfg := config(t, func(c *fleet.Config) { c.BinDir = bin })
	_, err := fleet.New(t.Context(), cfg, fleet.Options{Clock: clockwork.NewRealClock()})
	require.ErrorIs(t, err, fleet.ErrNoBinary)
	require.ErrorContains(t, err, "jarvis is not in "+bin+": run make build")
}

func TestTakenListenAddressIsNamed(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer busy.Close()
	cfg := config(t, func(c *fleet.Config) { c.Listen = busy.Addr().String() })
	_, err = fleet.New(t.Context(), cfg, fleet.Options{Clock: clockwork.NewRealClock()})
	require.ErrorIs(t, err, fleet.ErrAddress)
	require.ErrorContains(t, err, "choose another with --listen")
}

func TestConfigIsChecked(t *testing.T) {
	for name, change := range map[string]func(*fleet.Config){
		"no pods":               func(c *fleet.Config) { c.Pods = 0 },
		"too many pods":         func(c *fleet.Config) { c.Pods = 1000 },
		"no backend":            func(c *fleet.Config) { c.Backend = "" },
		"unknown backend":       func(c *fleet.Config) { c.Backend = "sticky" },
		"public control":        func(c *fleet.Config) { c.Control = "0.0.0.0:7070" },
		"control on every host": func(c *fleet.Config) { c.Control = ":7070" },
		"foreign environment":   func(c *fleet.Config) { c.Env = []string{"LD_PRELOAD=x"} },
		"environment without =": func(c *fleet.Config) { c.Env = []string{"JARVIS_SEED"} },
		"contradicting policy":  func(c *fleet.Config) { c.Policy = "stateful-header" },
		"no ring":               func(c *fleet.Config) { c.RingSize = 0 },
		"negative time":         func(c *fleet.Config) { c.Grace = -1 },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config(t, nil)
			require.NoError(t, cfg.Validate(), "control: it is valid before the change")
			change(&cfg)
			require.ErrorIs(t, cfg.Validate(), fleet.ErrConfig)
		})
	}
}

func TestNothingIsLeftAfterClose(t *testing.T) {
	bin := newBinDir(t)
	misbehave(t, bin, "jarvis", stubborn, "")
	h := startFleet(t, func(c *fleet.Config) { c.BinDir, c.Grace = bin, longGrace })
	_, err := h.Freeze(t.Context(), "jarvis-1")
	require.NoError(t, err)
	all, addresses := pids(h.Status()), []string{h.process(t, "smaran").GetAddress(), h.process(t, "redis").GetAddress(), h.pod(t, "jarvis-3").GetAddress()}

	begin := time.Now()
	require.NoError(t, h.Close())
	require.Less(t, time.Since(begin), longGrace, "pods that ignore SIGTERM must not hold it up")

	for _, pid := range all {
		require.False(t, alive(t, pid), pid)
	}
	for _, address := range addresses {
		l, err := net.Listen("tcp", address)
		require.NoError(t, err, "its port must be free")
		require.NoError(t, l.Close())
	}
	require.NoDirExists(t, filepath.Dir(h.cfg.Dir), "directories it had to make go too")
	_, err = h.Scale(t.Context(), 5)
	require.ErrorIs(t, err, fleet.ErrClosed)
}

func TestDirectoriesOfOthersStay(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "mine"), nil, 0o600))
	h := newFleet(t, clockwork.NewRealClock(), func(c *fleet.Config) { c.Dir = dir })
	require.NoError(t, h.Close())
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1)
}

func TestLogsAreKeptOnRequest(t *testing.T) {
	dir := t.TempDir()
	h := startFleet(t, func(c *fleet.Config) { c.Dir, c.KeepLogs = dir, true })
	require.NoError(t, h.Close())
	kept, err := filepath.Glob(filepath.Join(dir, "logs-*", "jarvis-1.log"))
	require.NoError(t, err)
	require.Len(t, kept, 1)
	text, err := os.ReadFile(kept[0])
	require.NoError(t, err)
	require.Contains(t, string(text), "double starts")
	left, err := filepath.Glob(filepath.Join(dir, "run-*"))
	require.NoError(t, err)
	require.Empty(t, left)
}
