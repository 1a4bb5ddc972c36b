//go:build unix

package jarvis_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/require"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/jarvis/internal/history"
	"github.com/smaran-v2/smaran/services/session"
)

const (
	podProcesses, processSessions = 3, 12
	// startTime is how long a process may take until it answers.
	startTime = 20 * time.Second
)

// TestOwnershipHistoryOfProcesses stops, continues and kills real processes, for as long as SOAK says; without that it is skipped, as it
// takes a while until such a thing shows. Only what callers see is recorded, so that of the rules those count that follow from that alone:
// a conversation's gaps are not told from losses.
func TestOwnershipHistoryOfProcesses(t *testing.T) {
	t.Parallel()
	if os.Getenv("SOAK") == "" {
		t.Skip("SKIP-REASON: minutes of real processes under SIGSTOP and SIGKILL: make soak")
	}
	length, seed := soaked(t)
	t.Logf("SOAK_SEED=%d for %v", seed, length)
	h := &herd{team: &team{T: t, network: newNetwork()}, Recorder: history.NewRecorder(), rng: rand.New(rand.NewPCG(seed, 2)),
		list: filepath.Join(t.TempDir(), "endpoints.json"), running: map[*mate]*exec.Cmd{}}
	t.Cleanup(h.close)
	h.gather()

	ctx, over := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	var askers []*asker
	for i := range processSessions {
		c := newAsker(h.network, h.Recorder, fmt.Sprintf("caller-%d", i), session.ID(fmt.Sprintf("s-%d", i)), rand.New(rand.NewPCG(seed, uint64(100+i))))
		askers = append(askers, c)
		require.Eventually(t, func() bool { return c.ask(ctx, h.owner(h.all, c.session)) }, startTime, pace)
		asking.Go(func() { h.keepAsking(ctx, c) })
	}
	stops, kills := 0, 0
	for begin := time.Now(); time.Since(begin) < length; {
		pause(ctx, time.Duration(100+h.rng.IntN(400))*time.Millisecond)
		m := h.pods[h.rng.IntN(len(h.pods))]
		if h.rng.IntN(3) == 0 {
			kills++
			h.kill(m)
		} else {
			stops++
			h.stop(ctx, m, time.Duration(100+h.rng.IntN(1200))*time.Millisecond)
		}
	}
	over()
	asking.Wait()
	h.audit(askers)
	events := h.Events()
	violations := 0
	for _, v := range history.Check(seed, events) {
		if v.Rule == history.OneOwner || v.Rule == history.Fenced || v.Rule == history.HighestStays {
			violations++
			t.Errorf("%v\n  what happened to it:%s", v, history.Digest(events, v.Session))
		}
	}
	t.Logf("%d answers, %d requests without, %d stops, %d kills, %d violations", history.Count(events, history.Accepted),
		history.Count(events, history.Refused), stops, kills, violations)
}

// herd is some pods in processes of their own, all in one list of endpoints.
type herd struct {
	*team
	*history.Recorder
	rng     *rand.Rand
	list    string
	all     endpoints.Set
	running map[*mate]*exec.Cmd
}

func (h *herd) gather() {
	h.Helper()
	for i := range podProcesses {
		free, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(h, err)
		h.pods = append(h.pods, &mate{name: fmt.Sprintf("jarvis-%d", i+1), address: free.Addr().String()})
		require.NoError(h, free.Close())
	}
	h.all = set(h.pods...)
	h.all.Version = "1"
	require.NoError(h, endpoints.WriteFile(h.list, h.all))
	for _, m := range h.pods {
		h.launch(m)
	}
	h.Cleanup(func() {
		for _, cmd := range h.running {
			_ = cmd.Process.Kill() // it may have ended
			_ = cmd.Wait()
		}
	})
}

func (h *herd) launch(m *mate) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = []string{childVariable + "=1", "JARVIS_POD=" + m.name, "JARVIS_LISTEN=" + m.address, "JARVIS_ADDRESS=" + m.address,
		"JARVIS_ADMIN_LISTEN=127.0.0.1:0", "JARVIS_MEDIA_LISTEN=127.0.0.1:0", "JARVIS_WEIGHTS_MB=0", "JARVIS_ENDPOINTS=file://" + h.list,
		"JARVIS_SLICE_LOAD=5ms", "JARVIS_CACHE_REBUILD_MIN=2ms", "JARVIS_CACHE_REBUILD_MAX=3ms", "JARVIS_INFERENCE_MEAN=1ms"}
	require.NoError(h, cmd.Start())
	h.running[m] = cmd
}

func (h *herd) stop(ctx context.Context, m *mate, d time.Duration) {
	h.Record(history.Event{Kind: history.Fault, Separates: true, Note: fmt.Sprintf("SIGSTOP for %v at %s", d, m.name)})
	require.NoError(h, h.running[m].Process.Signal(syscall.SIGSTOP))
	pause(ctx, d)
	require.NoError(h, h.running[m].Process.Signal(syscall.SIGCONT))
}

func (h *herd) kill(m *mate) {
	h.Record(history.Event{Kind: history.Fault, Separates: true, Note: "SIGKILL at " + m.name})
	require.NoError(h, h.running[m].Process.Kill())
	_ = h.running[m].Wait() // it was killed
	h.launch(m)
}

func (h *herd) keepAsking(ctx context.Context, c *asker) {
	for ctx.Err() == nil {
		at := h.owner(h.all, c.session)
		if c.rng.IntN(5) == 0 {
			at = h.pods[c.rng.IntN(len(h.pods))]
		}
		c.ask(ctx, at)
		pause(ctx, time.Duration(c.rng.Int64N(int64(pace))))
	}
}

// audit asks everybody about every session, twice, and notes who takes itself for an owner then.
func (h *herd) audit(askers []*asker) {
	for _, c := range askers {
		for range 2 {
			for _, m := range h.pods {
				require.Eventually(h, func() bool { return c.ask(h.Context(), m) }, startTime, pace, "%s at %s", c.session, m.name)
			}
		}
	}
	for _, m := range h.pods {
		status, err := askers[0].rpc(m).Status(h.Context(), connect.NewRequest(&jarvisv1.StatusRequest{IncludeSessions: true}))
		require.NoError(h, err)
		for _, s := range status.Msg.GetSessionList() {
			if s.GetOwner() == "" && s.GetEpoch() > 0 {
				h.Record(history.Event{Kind: history.Left, Session: s.GetSession(),
					Title: history.Title{Epoch: s.GetEpoch(), Pod: m.name, Incarnation: status.Msg.GetIncarnation()}})
			}
		}
	}
}
