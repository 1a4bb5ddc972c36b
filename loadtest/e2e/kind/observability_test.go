package kind_test

import (
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/smaran-v2/smaran/loadtest/internal/kube"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/cluster"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/forward"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/node"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/view"
	"github.com/smaran-v2/smaran/loadtest/internal/manifests"
	"github.com/smaran-v2/smaran/loadtest/internal/signals"
	"github.com/smaran-v2/smaran/loadtest/internal/signals/notes"
	"github.com/smaran-v2/smaran/loadtest/internal/signals/spans"
	"github.com/smaran-v2/smaran/services/wire"
)

// observability is the namespace of what observes.
const observability = "observability"

// elsewhere are the events of empty.yaml that this test does not bring about, and why.
var elsewhere = map[string]string{
	"one machine":        "the cluster has real Envoys, and no embedded mesh",
	"embedded mesh":      "the cluster has real Envoys, and no embedded mesh",
	"backend redis":      "the end-to-end test of docker compose does",
	"backend roundrobin": "the end-to-end test of docker compose does",
	"one session with":   "the end-to-end test of docker compose does",
	"ask no more":        "the end-to-end test of docker compose does",
	"frozen":             "the end-to-end test of docker compose does",
	"an alert fires":     "the end-to-end test of docker compose does",
	"move in time":       "a pod ends as soon as its time is over, and seldom is a scrape between: promtool's test of the alert has to do",
}

// TestEachPanelShowsAFleetAtWork applies deploy/variants/observability, but for Grafana's pod, and puts a load test and the variant resilient
// beside it.
func TestEachPanelShowsAFleetAtWork(t *testing.T) {
	c := connect(t)
	read, err := signals.Read(filepath.Join(deploy, observability))
	require.NoError(t, err)
	observe(t, c)
	prometheus, jaeger := reach(t, c, "prometheus", 9090), reach(t, c, "jaeger", 16686)
	n, err := notes.New(read, prometheus, "http://prometheus", clockwork.NewRealClock())
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	var taking sync.WaitGroup
	taking.Go(func() { assert.NoError(t, n.Take(ctx)) })
	t.Cleanup(func() { stop(); taking.Wait() })

	t.Run("a load test", func(t *testing.T) {
		run(t, []string{"handoff"}, 60*time.Second, "5s:scale=5", "35s:kill")
		require.Empty(t, n.Blank(), "all at once")
		require.True(t, n.Shown("Calls"), "the generator's pod is a target")
		require.EventuallyWithT(t, func(t *assertT) {
			require.NotContains(t, says(t, prometheus, "targets?state=active"), `"job":"loadtest"`)
		},
			2*time.Minute, time.Second, "and is none once its Job is over")
	})
	t.Run("one call is one trace", func(t *testing.T) {
		moved := map[string]bool{}
		require.EventuallyWithT(t, func(t *assertT) {
			traces, err := spans.Calls(context.Background(), jaeger, "http://jaeger")
			require.NoError(t, err)
			require.Len(t, traces, calls)
			for _, trace := range traces {
				require.Empty(t, trace.Missing())
				for _, name := range append(trace.Below(), trace.Linked()...) {
					moved[name] = true
				}
			}
		}, 30*time.Second, time.Second)
		for _, name := range []string{wire.SpanCopy, wire.SpanSettle, wire.SpanMigrate} {
			require.True(t, moved[name], name)
		}
	})
	t.Run("an ejection", func(t *testing.T) { eject(t, c, n, read) })
	t.Log("\n" + strings.Join(n.Rows(), "\n"))
	reasons := maps.Clone(elsewhere)
	if !strings.Contains(says(t, prometheus, "label/__name__/values"), `"istio_`) {
		reasons["sidecar"] = "these Envoys are built without Istio's own filters: none has any istio_*"
	}
	for event, why := range reasons {
		t.Logf("not here: until %s: %s", event, why)
	}
	require.Empty(t, n.Unexplained(reasons))
}

// observe applies what observes, and takes it away.
func observe(t *testing.T, c *cluster.Client) {
	t.Helper()
	objects, err := manifests.Render(filepath.Join(deploy, "variants", observability))
	require.NoError(t, err)
	var deployments []string
	for _, o := range objects {
		if o.GetKind() == "Namespace" {
			_, err := c.Read(t.Context(), o)
			require.ErrorIs(t, err, cluster.ErrNotFound, "somebody observes: kubectl delete -k deploy/variants/observability")
		}
		if o.GetKind() == "Deployment" && o.GetName() == "grafana" {
			set(t, o, int64(0), "spec", "replicas")
		} else if o.GetKind() == "Deployment" {
			deployments = append(deployments, o.GetName())
		}
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		var namespace *unstructured.Unstructured
		for _, o := range objects {
			assert.NoError(t, c.Remove(ctx, o))
			if o.GetKind() == "Namespace" {
				namespace = o
			}
		}
		assert.EventuallyWithT(t, func(t *assertT) {
			_, err := c.Read(ctx, namespace)
			require.ErrorIs(t, err, cluster.ErrNotFound)
		}, 2*time.Minute, time.Second)
	})
	for _, o := range objects {
		require.NoError(t, c.Put(t.Context(), o))
	}
	require.EventuallyWithT(t, func(t *assertT) {
		for _, name := range deployments {
			d, err := cluster.Deployments().Get(context.Background(), c, observability, name)
			require.NoError(t, err)
			require.Empty(t, view.RolledOut(d), name)
		}
	}, 3*time.Minute, time.Second)
}

// reach is a client whose every connection is to a port of the one pod of an app, whatever host it is asked for.
func reach(t *testing.T, c *cluster.Client, app string, port int) *http.Client {
	t.Helper()
	pods, err := cluster.Pods().List(t.Context(), c, observability, "app="+app)
	require.NoError(t, err)
	require.Len(t, pods, 1)
	at := forward.Pod{Namespace: observability, Name: pods[0].Name, Port: port}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return forward.Dialer{Config: c.REST}.Dial(ctx, at)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: execTime}
}

// says is what Prometheus answers.
func says(t require.TestingT, prometheus *http.Client, path string) string {
	res, err := prometheus.Get("http://prometheus/api/v1/" + path)
	require.NoError(t, err)
	defer res.Body.Close()
	said, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return string(said)
}

// eject has an Envoy hold a pod out: its process is killed while requests of its session come, and Envoy notices sooner than Kubernetes.
func eject(t *testing.T, c *cluster.Client, n *notes.Notes, read *signals.Signals) {
	objects, err := manifests.Render(filepath.Join(deploy, "variants", "resilient"))
	require.NoError(t, err)
	take(t, c, append(objects, clients(t)...))
	ctx := t.Context()
	ejected := func() bool {
		for _, q := range read.Queries() {
			if q.Panel == "Outlier ejections" && n.Of(q).High < 1 {
				return false
			}
		}
		return true
	}
	for range 3 {
		holder := ""
		require.EventuallyWithT(t, func(t *assertT) {
			pods := podsOf(t, ask(ctx, t, c, debug, throughSmaran("e2e")))
			require.Len(t, pods, 1)
			holder = slices.Collect(maps.Keys(pods))[0]
		}, 3*time.Minute, time.Second)
		var asking sync.WaitGroup
		asking.Go(func() {
			_, err := shell(ctx, t, c, debug, `seq 400 | xargs -P 8 -I{} curl --silent --max-time 5 --output /dev/null `+throughSmaran("e2e"))
			assert.NoError(t, err)
		})
		kill(t, c, holder)
		asking.Wait()
		if ejected() { // a round has come while they asked
			return
		}
	}
	require.Fail(t, "no Envoy held a pod out")
}

// kill ends a pod's process; the kubelet starts it again.
func kill(t *testing.T, c *cluster.Client, name string) {
	t.Helper()
	p, err := cluster.Pods().Get(t.Context(), c, kube.Namespace, name)
	require.NoError(t, err)
	on, err := cluster.Nodes().Get(t.Context(), c, "", p.Spec.NodeName)
	require.NoError(t, err)
	status := view.Container(p, kube.Jarvis)
	require.NotNil(t, status)
	require.NoError(t, node.Kind{}.Signal(t.Context(), node.Container{Node: on.Name, ProviderID: on.Spec.ProviderID, ID: status.ContainerID}, node.Kill))
}
