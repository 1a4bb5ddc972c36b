package kind_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/engine"
	"github.com/smaran-v2/smaran/loadtest/internal/figures"
	"github.com/smaran-v2/smaran/loadtest/internal/kube"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/cluster"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

type assertT = assert.CollectT

// A kill costs calls whatever the backend; what a backend promises is that nothing else does. Round robin is the control: without
// affinity the same load goes everywhere, and pays for it.
func TestEachBackendKeepsItsSessions(t *testing.T) {
	connect(t)
	backends := []string{
		"redis-plain", "redis", "app-hash", "istio-hash", "istio-hash:maglev", "stateful-header", "stateful-cookie",
		"handoff", "roundrobin",
	}
	results := run(t, backends, 28*time.Second, "6s:kill")
	for backend, r := range results {
		kill := r.GetEvents()[0]
		require.NotEmpty(t, kill.GetPod(), backend)
		require.Positive(t, kill.GetCounts()[figures.Renegotiations], "%s: the killed pod's callers redial", backend)
		require.True(t, strings.HasPrefix(r.GetSettings()["mesh"], "istio "), backend)
		if backend == "roundrobin" {
			for _, class := range []string{figures.ScatteredSessions, figures.Misroutes, figures.ColdStarts, figures.StateLost} {
				require.Positive(t, r.GetCounts()[class], class)
			}
			continue
		}
		require.Zero(t, kill.GetCounts()[figures.DroppedNoMedia], "%s: and get through", backend)
		if backend == "redis-plain" { // a Redis that is slow for once is a Redis that is down, and the pod is drawn
			require.Less(t, 4*r.GetCounts()[figures.Misroutes], results["roundrobin"].GetCounts()[figures.Misroutes])
			continue
		}
		few(t, r, r.GetCounts()[figures.ScatteredSessions], "sessions on several pods while nothing changed")
		for _, class := range []string{figures.Misroutes, figures.ColdStarts, figures.StateLost} {
			few(t, r, r.GetCounts()[class]-kill.GetCounts()[class], class+" before the kill")
		}
	}
}

// Where a hash sends sessions is known beforehand, from the cluster's own endpoints; a token keeps them where they are.
func TestMovesAreThosePredicted(t *testing.T) {
	connect(t)
	moves := map[string]bool{"istio-hash": true, "istio-hash:maglev": true, "app-hash": true, "stateful-cookie": false}
	results := run(t, []string{"istio-hash", "istio-hash:maglev", "app-hash", "stateful-cookie"}, 75*time.Second, "4s:scale=10")
	for backend, r := range results {
		e := r.GetEvents()[0]
		require.Positive(t, e.GetObservedSessions(), backend)
		if !moves[backend] {
			require.Nil(t, e.PredictedMoved, backend)
			require.Less(t, e.GetMovedSessions(), results["istio-hash"].GetEvents()[0].GetMovedSessions(), backend)
			if !shrank(e) {
				require.Zero(t, e.GetMovedSessions(), backend)
			}
			continue
		}
		require.Positive(t, e.GetMovedSessions(), "%s: 3 -> 10 moves some", backend)
		predicted, moved := e.GetPredictedMoved(), e.GetMovedSessions()
		few(t, r, max(predicted, moved)-min(predicted, moved), "moved, or not, against the prediction")
		few(t, r, r.GetCounts()[figures.Mispredicted], figures.Mispredicted)
		require.NotNil(t, e.Mispredicted, backend)
		require.Contains(t, r.GetSettings()[kube.SettingProxies], "agrees with the endpoints", backend)
	}
}

// What moves is at its next owner before the endpoints change. The control is the same hash without that.
func TestHandoffCostsNothingWhereTheHashDoes(t *testing.T) {
	connect(t)
	results := run(t, []string{"handoff", "istio-hash"}, 80*time.Second, "4s:scale=10")
	for _, class := range []string{figures.Misroutes, figures.StateLost, figures.ColdStarts, figures.DroppedCalls} {
		require.Positive(t, results["istio-hash"].GetCounts()[class], "istio-hash: %s", class)
		few(t, results["handoff"], results["handoff"].GetCounts()[class], class)
	}
	require.Positive(t, results["handoff"].GetEvents()[0].GetMovedSessions())
	require.Positive(t, results["handoff"].GetCounts()[figures.Migrations])
}

// shrank says that a pod left the endpoints while others joined: one that is starved misses its probes, and a token does not survive that.
func shrank(e *reportv1.Event) bool {
	most := uint32(0)
	for _, c := range e.GetChanges() {
		if c.GetHealthy() < most {
			return true
		}
		most = c.GetHealthy()
	}
	return false
}

func TestARedisOutageCostsOnlyTheBackendThatDependsOnIt(t *testing.T) {
	connect(t)
	results := run(t, []string{"redis-plain", "redis"}, 40*time.Second, "4s:redis=down", "18s:redis=up")
	plain := results["redis-plain"].GetEvents()[0].GetCounts()
	require.Positive(t, plain[figures.Misroutes], "it routes at random for as long")
	require.Positive(t, plain[figures.StateLost])
	counts := results["redis"].GetEvents()[0].GetCounts()
	for _, class := range []string{figures.Misroutes, figures.StateLost, figures.ColdStarts} {
		few(t, results["redis"], counts[class], class)
	}
}

func TestWhatWasFoundIsPutBackAlsoAfterAnInterrupt(t *testing.T) {
	c := connect(t)
	take(t, c, overlaid(t, "redis", 2))
	ctx, interrupt := context.WithTimeout(t.Context(), 90*time.Second) // in the middle of measuring
	defer interrupt()
	results, err := runFor(ctx, t, []string{"istio-hash"}, 5*time.Minute)
	require.ErrorIs(t, err, engine.ErrInterrupted)
	require.Contains(t, results["istio-hash"].GetInvalidReasons()[0], "interrupted after")

	jarvis, err := cluster.Deployments().Get(t.Context(), c, kube.Namespace, "jarvis")
	require.NoError(t, err)
	require.EqualValues(t, 2, *jarvis.Spec.Replicas)
	require.EqualValues(t, 2, jarvis.Status.AvailableReplicas)
	smaran, err := cluster.Deployments().Get(t.Context(), c, kube.Namespace, "smaran-v2")
	require.NoError(t, err)
	backend := ""
	for _, v := range smaran.Spec.Template.Spec.Containers[0].Env {
		if v.Name == "SMARAN_BACKEND" {
			backend = v.Value
		}
	}
	require.Equal(t, "redis", backend)
	_, err = cluster.Jobs().Get(t.Context(), c, kube.Namespace, "loadtest")
	require.ErrorIs(t, err, cluster.ErrNotFound)
	_, err = cluster.Secrets().Get(t.Context(), c, kube.Namespace, "loadtest-found")
	require.ErrorIs(t, err, cluster.ErrNotFound)
}

// The generator needs its sidecar: smaran's refuses a client without one. The control is the same pod with one.
func TestAClientWithoutASidecarIsRefused(t *testing.T) {
	c := connect(t)
	take(t, c, append(overlaid(t, "istio-hash", 1), clients(t)...))
	ctx := t.Context()
	const once = "curl --silent --show-error --fail --max-time 10 --output /dev/null -H 'x-call-session-id: e2e' http://smaran-v2/inference"
	require.EventuallyWithT(t, func(t *assertT) {
		_, err := shell(ctx, t, c, stranger, once)
		require.NoError(t, err)
	}, time.Minute, time.Second)
	_, err := shell(ctx, t, c, outside, once)
	require.ErrorContains(t, err, "Connection reset by peer")
}
