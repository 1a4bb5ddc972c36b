package fleet_test

import (
	"strings"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"

	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/fleet"
	"github.com/smaran-v2/smaran/services/smaran/backend"
)

// limit is how long a change of the endpoints waits for pods that come with it, or that prepare for it.
const limit = 10 * time.Second

func handsOver(c *fleet.Config) { c.Backend = backend.Handoff }

// prepared is what a pod was asked to prepare for.
func (h *harness) prepared(t *testing.T, pod string) []preparation {
	t.Helper()
	var out []preparation
	get(t, "http://"+h.pod(t, pod).GetAddress()+"/prepared", &out)
	return out
}

// rotation are the pods of a version that get sessions, as they are named to the pods.
func rotation(e *fleetv1.Endpoints) []string {
	var out []string
	for _, p := range e.GetEndpoints() {
		if p.GetHealth() == endpoints.Healthy.String() {
			out = append(out, p.GetPod()+" "+p.GetAddress())
		}
	}
	return out
}

func (h *harness) version(t *testing.T, n int) *fleetv1.Endpoints {
	t.Helper()
	history := h.Status().GetHistory()
	require.Greater(t, len(history), n)
	return history[n]
}

func (h *harness) ready(t *testing.T, pods ...string) {
	t.Helper()
	for _, name := range pods {
		eventually(t, func() bool {
			for _, p := range h.Status().GetPods() {
				if p.GetName() == name {
					return p.GetPhase() == fleetv1.PodPhase_POD_PHASE_READY
				}
			}
			return false
		}, "%s is ready", name)
	}
}

// scaling scales in the background.
func (h *harness) scaling(t *testing.T, pods int) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := h.Scale(t.Context(), pods)
		done <- err
	}()
	return done
}

// ended is how a change ended.
func ended(t *testing.T, done <-chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		require.Fail(t, "the change does not end")
		return nil
	}
}

func (h *harness) noticed(text string) bool {
	for _, n := range h.Status().GetNotices() {
		if strings.Contains(n.GetText(), text) {
			return true
		}
	}
	return false
}

func TestPodsThatComeTogetherAreListedTogetherOnceTheOthersHavePrepared(t *testing.T) {
	bin := newBinDir(t)
	h := startFleet(t, func(c *fleet.Config) { handsOver(c); c.BinDir = bin })
	require.Equal(t, []string{"", "1 2 3"}, h.versions())
	require.Empty(t, h.prepared(t, "jarvis-1"), "the first pods have nobody to prepare for them")

	well := misbehave(t, bin, "jarvis", deaf, "jarvis-5")
	done := h.scaling(t, 6)
	h.ready(t, "jarvis-4", "jarvis-6")
	require.Equal(t, []string{"", "1 2 3"}, h.versions(), "they wait for the one that comes with them")
	require.Empty(t, h.prepared(t, "jarvis-1"))
	well()
	require.NoError(t, ended(t, done))
	require.Equal(t, []string{"", "1 2 3", "1 2 3 4 5 6"}, h.versions())
	asked := []preparation{{Hosts: rotation(h.version(t, 2)), Version: "2"}}
	for _, present := range []string{"jarvis-1", "jarvis-2", "jarvis-3"} {
		require.Equal(t, asked, h.prepared(t, present), "for exactly what came then, and before it did")
	}
	for _, arrived := range []string{"jarvis-4", "jarvis-5", "jarvis-6"} {
		require.Empty(t, h.prepared(t, arrived), "they have nothing")
	}
	require.True(t, h.noticed("prepared for 6 pods in"))
	require.True(t, h.noticed("6 of 9 sessions that move are there"))

	// Those that are to go prepare as well, for endpoints without them, while they are in rotation.
	_, err := h.Scale(t.Context(), 4)
	require.NoError(t, err)
	require.Equal(t, "1 2 3 4 5* 6*", h.versions()[3])
	for _, stays := range []string{"jarvis-1", "jarvis-4"} {
		got := h.prepared(t, stays)
		require.Equal(t, preparation{Hosts: rotation(h.version(t, 3)), Version: "3"}, got[len(got)-1])
	}
}

func TestAPodThatIsScaledInPreparesBeforeItDrains(t *testing.T) {
	bin := newBinDir(t)
	misbehave(t, bin, "jarvis", stubborn, "") // it stays to be asked
	h := startFleet(t, func(c *fleet.Config) { handsOver(c); c.BinDir, c.Pods = bin, 2 })
	leaves := "http://" + h.pod(t, "jarvis-2").GetAddress() + "/prepared"
	done := h.scaling(t, 1)
	eventually(t, func() bool { return len(h.versions()) == 3 }, "drains")
	require.Equal(t, "1 2*", h.versions()[2])
	var got []preparation
	get(t, leaves, &got)
	require.Equal(t, []preparation{{Hosts: rotation(h.version(t, 2)), Version: "2"}}, got)
	require.NoError(t, h.Close()) // sooner than its grace is over
	require.ErrorIs(t, <-done, fleet.ErrClosed)
}

func TestAFrozenPodDelaysOthersNoLongerThanTheLimit(t *testing.T) {
	clock := clockwork.NewFakeClock()
	h := newFleet(t, clock, handsOver)
	require.NoError(t, h.Start(t.Context()))
	_, err := h.Freeze(t.Context(), "jarvis-1")
	require.NoError(t, err)
	done := h.scaling(t, 4)
	for _, present := range []string{"jarvis-2", "jarvis-3"} {
		eventually(t, func() bool { return len(h.prepared(t, present)) == 1 }, "%s prepares", present)
	}
	clock.Advance(limit - 1)
	require.Equal(t, []string{"", "1 2 3"}, h.versions())
	clock.Advance(1)
	require.NoError(t, ended(t, done))
	require.Equal(t, []string{"", "1 2 3", "1 2 3 4"}, h.versions())
	require.True(t, h.noticed("jarvis-1 did not prepare: no answer in time"))
}

func TestAPodThatIsNeverReadyDelaysThoseThatCameWithItNoLongerThanTheLimit(t *testing.T) {
	clock := clockwork.NewFakeClock()
	bin := newBinDir(t)
	h := newFleet(t, clock, func(c *fleet.Config) { handsOver(c); c.BinDir = bin })
	require.NoError(t, h.Start(t.Context()))
	well := misbehave(t, bin, "jarvis", deaf, "jarvis-5")
	done := h.scaling(t, 5)
	h.ready(t, "jarvis-4")
	require.NoError(t, clock.BlockUntilContext(t.Context(), 3)) // the first pods' batch, and the limit
	clock.Advance(limit - 1)
	require.Equal(t, []string{"", "1 2 3"}, h.versions())
	clock.Advance(1)
	eventually(t, func() bool { return len(h.versions()) == 3 }, "listed")
	require.Equal(t, "1 2 3 4", h.versions()[2])
	well()
	require.NoError(t, ended(t, done))
	require.Equal(t, "1 2 3 4 5", h.versions()[3], "it comes by itself")
}

// TestOtherBackendsHoldNoPodBack is the control: nobody prepares, and a pod is listed when it is ready.
func TestOtherBackendsHoldNoPodBack(t *testing.T) {
	bin := newBinDir(t)
	h := startFleet(t, func(c *fleet.Config) { c.BinDir = bin })
	_, err := h.Freeze(t.Context(), "jarvis-1")
	require.NoError(t, err)
	well := misbehave(t, bin, "jarvis", deaf, "jarvis-5")
	done := h.scaling(t, 5)
	eventually(t, func() bool { return len(h.versions()) == 3 }, "listed")
	require.Equal(t, "1 2 3 4", h.versions()[2])
	well()
	require.NoError(t, ended(t, done))
	_, err = h.Scale(t.Context(), 4)
	require.NoError(t, err)
	for _, present := range []string{"jarvis-2", "jarvis-3", "jarvis-4"} {
		require.Empty(t, h.prepared(t, present))
	}
}
