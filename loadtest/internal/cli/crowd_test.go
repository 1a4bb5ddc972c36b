package cli_test

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/crowd"
	"github.com/smaran-v2/smaran/loadtest/internal/driver"
	"github.com/smaran-v2/smaran/loadtest/internal/driver/drivertest"
	"github.com/smaran-v2/smaran/loadtest/internal/fakestage"
	"github.com/smaran-v2/smaran/loadtest/internal/scenario"
	smaranv1 "github.com/smaran-v2/smaran/proto/smaran/v1"
	"github.com/smaran-v2/smaran/proto/smaran/v1/smaranv1connect"
	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/services/lifeline"
)

// openStage has a stage that a test plays, at a URL.
func openStage(t *testing.T) (*fakestage.Stage, string) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := fakestage.Open(l)
	t.Cleanup(s.Close)
	return s, "http://" + l.Addr().String()
}

// audience adds up what a stage is told.
type audience struct {
	t     *testing.T
	stage *fakestage.Stage
	take  uint32
	up    map[string]string
	// states counts inferences by their state, happened occurrences by their class.
	states, happened map[string]int
	gaps             int
}

func listen(t *testing.T, s *fakestage.Stage, take uint32) *audience {
	return &audience{t: t, stage: s, take: take, up: map[string]string{}, states: map[string]int{}, happened: map[string]int{}}
}

// until waits for what is told to be so.
func (a *audience) until(what string, so func() bool) {
	a.t.Helper()
	require.Eventually(a.t, func() bool {
		for _, told := range a.stage.Take() {
			if told.GetTake() != a.take {
				continue
			}
			for _, c := range told.GetCalls() {
				delete(a.up, c.GetSession())
				if c.GetUp() {
					a.up[c.GetSession()] = c.GetPod()
				}
			}
			for _, i := range told.GetInferences() {
				a.states[i.GetState()]++
			}
			for _, o := range told.GetOccurrences() {
				a.happened[o.GetClass()]++
			}
			a.gaps += len(told.GetGaps())
		}
		return so()
	}, time.Minute, 50*time.Millisecond, what)
}

// TestACrowdAtTheRealFleet has a process of its own put real calls on real pods, as a stage orders.
func TestACrowdAtTheRealFleet(t *testing.T) {
	fleet, err := (&driver.Local{Program: drivertest.Fleet(t, root), Dir: t.TempDir()}).Up(t.Context(), driver.Spec{
		Backend: "istio-hash", Pods: 3, Redis: "embedded", Seed: 1, Lenient: true,
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, fleet.Down(t.Context())) }()
	status, err := fleet.Status(t.Context())
	require.NoError(t, err)

	stage, url := openStage(t)
	// Whatever the machine is busy with: what is looked at here is not how long it takes.
	program := child(t, "crowd", "--stage", url, "--lane", "a", "--watchdog", "5s", "--log-level", "info")
	var said bytes.Buffer
	program.Stderr = &said
	require.NoError(t, program.Start())
	order := &stagev1.CrowdOrder{SmaranUrl: status.GetSmaranUrl(), Calls: 3, Rate: 6, Seed: 1, Take: 1}
	stage.Order(t.Context(), order)
	a := listen(t, stage, 1)
	a.until("three calls, and answers", func() bool { return len(a.up) == 3 && a.states["warm"] > 5 && a.gaps > 0 })
	require.Zero(t, a.states["failed"])
	for _, pod := range a.up {
		require.True(t, strings.HasPrefix(pod, "jarvis-"), pod)
	}

	order = &stagev1.CrowdOrder{SmaranUrl: status.GetSmaranUrl(), Calls: 6, Rate: 24, Seed: 1, Take: 1}
	stage.Order(t.Context(), order)
	a.until("more calls", func() bool { return len(a.up) == 6 })
	pod, err := fleet.Do(t.Context(), scenario.Event{Kind: scenario.KindKill, Pod: first(a.up)})
	require.NoError(t, err)
	a.until("what was lost with "+pod, func() bool {
		return a.happened["renegotiations"] > 0 && a.happened["dropped_state_lost"] > 0 && len(a.up) == 6
	})

	headerless := &stagev1.CrowdOrder{SmaranUrl: status.GetSmaranUrl(), Calls: 6, Rate: 24, Headerless: true, Seed: 1, Take: 1}
	stage.Order(t.Context(), headerless)
	cold := a.states["cold"]
	a.until("no call, and cold answers", func() bool { return len(a.up) == 0 && a.states["cold"] > cold+6 })
	require.Zero(t, a.happened["setup_failures"])

	anew := &stagev1.CrowdOrder{SmaranUrl: status.GetSmaranUrl(), Calls: 2, Rate: 6, Seed: 1, Take: 2}
	stage.Order(t.Context(), anew)
	a = listen(t, stage, 2)
	a.until("others", func() bool { return len(a.up) == 2 && a.states["warm"] > 0 })

	require.NoError(t, program.Process.Signal(syscall.SIGTERM))
	require.NoError(t, program.Wait(), "it ends as it is told to: %s", said.String())
	require.Contains(t, said.String(), "attached")
	require.Eventually(t, func() bool { return calls(t, status.GetSmaranUrl()) == 0 }, time.Minute, 50*time.Millisecond, "and has hung up")
}

// calls are those that a fleet's pods have.
func calls(t *testing.T, smaran string) (n int) {
	client := smaranv1connect.NewSmaranServiceClient(http.DefaultClient, smaran)
	defer http.DefaultClient.CloseIdleConnections()
	res, err := client.GetFleet(t.Context(), connect.NewRequest(&smaranv1.GetFleetRequest{}))
	require.NoError(t, err)
	for _, p := range res.Msg.GetPods() {
		n += int(p.GetCalls())
	}
	return n
}

func first(up map[string]string) string {
	for _, pod := range up {
		return pod
	}
	return ""
}

func TestACrowdEndsWithTheProcessThatStartedIt(t *testing.T) {
	stage, url := openStage(t)
	program := child(t, "crowd", "--stage", url, "--lane", "a")
	cut, started, err := lifeline.Attach(program)
	require.NoError(t, err)
	require.NoError(t, program.Start())
	started()
	require.Eventually(t, func() bool { return len(stage.Hellos()) == 1 }, time.Minute, 20*time.Millisecond)
	require.NoError(t, cut.Close())
	require.NoError(t, program.Wait())
}

func TestACrowdThatWasReplacedFails(t *testing.T) {
	stage, url := openStage(t)
	ended := make(chan error, 1)
	go func() {
		_, err := try(t, "crowd", "--stage", url, "--lane", "a")
		ended <- err
	}()
	stage.End(t.Context(), connect.NewError(connect.CodeAborted, errors.New("another came")))
	require.ErrorIs(t, <-ended, crowd.ErrReplaced)
}
