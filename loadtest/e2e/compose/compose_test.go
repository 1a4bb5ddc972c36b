package compose_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/compose"
	"github.com/smaran-v2/smaran/loadtest/internal/driver"
	"github.com/smaran-v2/smaran/loadtest/internal/figures"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// A kill costs calls whatever the backend; what a backend promises is that nothing else does.
func TestEachBackendKeepsItsSessionsAndItsCallersRedial(t *testing.T) {
	required(t)
	for _, backend := range []string{
		"redis-plain", "redis", "app-hash", "istio-hash", "istio-hash:maglev", "stateful-header", "stateful-cookie", "handoff",
	} {
		t.Run(backend, func(t *testing.T) {
			r := run(t, backend, 3, 20*time.Second, "6s:kill")
			few(t, r, r.GetCounts()[figures.ScatteredSessions], "sessions on several pods while nothing changed")
			kill := r.GetEvents()[0]
			before := difference(r.GetCounts(), kill.GetCounts())
			for _, class := range []string{figures.Misroutes, figures.ColdStarts, figures.StateLost} {
				few(t, r, before[class], class+" before the kill")
			}
			require.NotEmpty(t, kill.GetPod())
			require.Positive(t, kill.GetCounts()[figures.Renegotiations], "the killed pod's callers redial")
			require.Zero(t, kill.GetCounts()[figures.DroppedNoMedia], "and get through")
			require.Zero(t, kill.GetCounts()[figures.CallsDownAtEnd])
			require.Equal(t, "envoy", r.GetSettings()["mesh"][:5])
		})
	}
}

// Pods that follow the list of pods hand over what moves, at its first request. The control is the same hash without that.
func TestHandoffLosesNoStateWhereTheHashDoes(t *testing.T) {
	required(t)
	plain := run(t, "istio-hash", 3, 26*time.Second, "4s:scale=10")
	r := run(t, "handoff", 3, 26*time.Second, "4s:scale=10")
	require.Positive(t, r.GetEvents()[0].GetMovedSessions())
	for _, class := range []string{figures.Misroutes, figures.StateLost, figures.ColdStarts, figures.DroppedCalls} {
		require.Positive(t, plain.GetCounts()[class], "istio-hash: %s", class)
		few(t, r, r.GetCounts()[class], class)
	}
	require.Positive(t, r.GetCounts()[figures.Migrations])
}

// The control: without affinity the same load goes everywhere, and pays for it.
func TestRoundRobinScattersSessions(t *testing.T) {
	required(t)
	r := run(t, "roundrobin", 3, 8*time.Second)
	for _, class := range []string{figures.ScatteredSessions, figures.Misroutes, figures.ColdStarts, figures.StateLost, figures.Renegotiations} {
		require.Greater(t, r.GetCounts()[class], uint64(calls/2), class)
	}
}

// Where a hash sends sessions is known beforehand, from Envoy's own endpoints; a token keeps them where they are.
func TestMovesAreThosePredicted(t *testing.T) {
	required(t)
	for _, c := range []struct {
		backend string
		moves   bool
	}{{"istio-hash", true}, {"app-hash", true}, {"stateful-cookie", false}} {
		t.Run(c.backend, func(t *testing.T) {
			r := run(t, c.backend, 3, 26*time.Second, "4s:scale=10")
			e := r.GetEvents()[0]
			require.EqualValues(t, calls, e.GetObservedSessions())
			if !c.moves {
				require.Zero(t, e.GetMovedSessions())
				require.Nil(t, e.PredictedMoved)
				return
			}
			require.Positive(t, e.GetMovedSessions(), "this seed moves some")
			require.Less(t, e.GetMovedSessions(), e.GetObservedSessions(), "and not all")
			require.Equal(t, e.GetPredictedMoved(), e.GetMovedSessions())
			require.Zero(t, r.GetCounts()[figures.Mispredicted])
			require.NotNil(t, e.Mispredicted)
		})
	}
}

func TestARedisOutageCostsOnlyTheBackendThatDependsOnIt(t *testing.T) {
	required(t)
	outage := func(backend string) map[string]uint64 {
		r := run(t, backend, 3, 18*time.Second, "3s:redis=down", "10s:redis=up")
		return r.GetEvents()[0].GetCounts()
	}
	plain := outage("redis-plain")
	for _, class := range []string{figures.Misroutes, figures.StateLost, figures.ColdStarts} {
		require.Positive(t, plain[class], "%s: it routes at random for as long", class)
	}
	for _, backend := range []string{"redis", "app-hash"} {
		counts := outage(backend)
		for _, class := range []string{figures.Misroutes, figures.StateLost, figures.ColdStarts} {
			// None, but for a pod that a machine this busy kept from answering its health checks.
			require.Less(t, 4*counts[class], plain[class], "%s, %s", backend, class)
		}
	}
}

func TestAProjectIsLeftAloneAndAnotherFindsAPlaceBesideIt(t *testing.T) {
	required(t)
	spec := driver.Spec{Backend: "istio-hash", Pods: 2, Seed: 1}
	first, err := newDriver(project).Up(t.Context(), spec)
	require.NoError(t, err)
	defer func() { require.NoError(t, first.Down(context.WithoutCancel(t.Context()))) }()
	left(t, project, 6) // two pods, smaran, Envoy, Redis, and their network

	_, err = newDriver(project).Up(t.Context(), spec)
	require.ErrorIs(t, err, compose.ErrRunning)
	left(t, project, 6)

	const other = project + "-2"
	second, err := newDriver(other).Up(t.Context(), spec)
	require.NoError(t, err)
	a, b := status(t, first), status(t, second)
	require.NotEqual(t, a.GetSmaranUrl(), b.GetSmaranUrl())
	require.NotEqual(t, a.GetPods()[0].GetAddress(), b.GetPods()[0].GetAddress())
	require.NoError(t, second.Down(t.Context()))
	require.NoError(t, second.Down(t.Context()), "again")
	left(t, other, 0)
	left(t, project, 6)
	require.NoError(t, first.Err())
	require.NoError(t, first.Down(t.Context()))
	left(t, project, 0)
}

func TestAnInterruptedStartLeavesNothing(t *testing.T) {
	required(t)
	for _, after := range []time.Duration{200 * time.Millisecond, 1500 * time.Millisecond, 3 * time.Second} {
		t.Run(fmt.Sprint(after), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), after)
			defer cancel()
			f, err := newDriver(project).Up(ctx, driver.Spec{Backend: "redis", Pods: 3, Seed: 1})
			if err == nil { // this machine was quicker
				err = errors.Join(context.DeadlineExceeded, f.Down(t.Context()))
			}
			require.ErrorIs(t, err, context.DeadlineExceeded)
			left(t, project, 0)
		})
	}
}

// few is none on a machine that keeps up. One that does not may keep a pod from answering its health checks, or Redis from answering
// within the 50 ms that it is given, and some sessions pay for it.
func few(t *testing.T, r *reportv1.Result, n uint64, what string) {
	t.Helper()
	if r.GetValid() {
		require.Zero(t, n, what)
		return
	}
	require.Less(t, n, uint64(calls/4), "%s, on a busy machine: %v", what, r.GetInvalidReasons())
}

// difference is what of all counts came before those of an event.
func difference(all, event map[string]uint64) map[string]uint64 {
	out := map[string]uint64{}
	for name, n := range all {
		out[name] = n - event[name]
	}
	return out
}
