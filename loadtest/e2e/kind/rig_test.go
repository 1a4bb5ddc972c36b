package kind_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/smaran-v2/smaran/loadtest/internal/cli"
	"github.com/smaran-v2/smaran/loadtest/internal/kube"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/cluster"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/overlay"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/view"
	"github.com/smaran-v2/smaran/loadtest/internal/manifests"
	"github.com/smaran-v2/smaran/loadtest/internal/report"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// requiredVariable says that the test is meant to run: what it needs has to be there. Without it, `make test` goes past.
// contextVariable names the kubeconfig's context.
const (
	requiredVariable = "E2E"
	contextVariable  = "E2E_CONTEXT"
)

var deploy = filepath.Join("..", "..", "..", "deploy")

// connect skips the test unless it was asked for.
func connect(t *testing.T) *cluster.Client {
	t.Helper()
	if os.Getenv(requiredVariable) == "" {
		t.Skip("SKIP-REASON: end to end, in a cluster that has to be made: scripts/kind-up, then make e2e-kind")
	}
	c, _, err := cluster.Connect(t.Context(), kubeContext())
	require.NoError(t, err)
	return c
}

func kubeContext() string {
	if name := os.Getenv(contextVariable); name != "" {
		return name
	}
	return "kind-smaran"
}

// run puts backends under a small load, one after another, and does things to each. It gives their results by name.
func run(t *testing.T, backends []string, duration time.Duration, events ...string) map[string]*reportv1.Result {
	t.Helper()
	results, err := runFor(t.Context(), t, backends, duration, events...)
	for _, r := range results {
		for _, why := range r.GetInvalidReasons() { // only a machine that is too busy to measure on may make it so
			require.Contains(t, why, "the generator", r.GetBackend())
		}
		for _, e := range r.GetEvents() {
			require.Empty(t, e.GetError(), "%s: %s", r.GetBackend(), e.GetName())
		}
		require.Positive(t, r.GetHistograms()["gap_ms"].GetCount(), "%s: media came", r.GetBackend())
	}
	require.Len(t, results, len(backends), "%v", err)
	return results
}

// runFor is the command as a user gives it.
func runFor(ctx context.Context, t *testing.T, backends []string, duration time.Duration, events ...string) (map[string]*reportv1.Result, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "report.json")
	args := []string{
		"run", "--driver", "kubernetes", "--context", kubeContext(), "--deploy", deploy, "--backend", strings.Join(backends, ","),
		"--calls", "12", "--rate", "12", "--warmup", "4s", "--watchdog", "2s", "--duration", duration.String(), "--json", file,
	}
	for _, e := range events {
		args = append(args, "--event", e)
	}
	var stdout bytes.Buffer
	err := cli.Run(ctx, args, &stdout, logWriter{t})
	out := map[string]*reportv1.Result{}
	r, loadErr := report.Load(file)
	if loadErr != nil {
		return out, err
	}
	for _, result := range r.GetResults() {
		out[result.GetBackend()] = result
	}
	t.Log("\n" + stdout.String())
	return out, err
}

// logWriter shows progress as it comes.
type logWriter struct{ t *testing.T }

func (w logWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

// deployed makes the namespace an overlay, as a user has it, with so many jarvis. At the end of the test the namespace is what it was before it.
func deployed(t *testing.T, c *cluster.Client, name string, replicas int) {
	t.Helper()
	n := overlay.Namespace{Cluster: c, Name: kube.Namespace, Clock: clockwork.NewRealClock()}
	objects, err := manifests.RenderWith(deploy, name)
	require.NoError(t, err)
	before, earlier, err := n.Remember(t.Context(), objects, t.Name())
	require.NoError(t, err)
	require.Nil(t, earlier, "a load test was killed here: make a run first, it puts the namespace right")
	require.NoError(t, cluster.Secrets().Delete(t.Context(), c, kube.Namespace, "loadtest-found", -1)) // the program under test keeps its own
	t.Cleanup(func() { require.NoError(t, n.Restore(context.WithoutCancel(t.Context()), before, objects)) })
	require.NoError(t, n.Switch(t.Context(), objects))
	require.NoError(t, cluster.Deployments().Merge(t.Context(), c, kube.Namespace, "jarvis", map[string]any{"spec": map[string]any{"replicas": replicas}}, "scale"))
	for _, name := range []string{"redis", "jarvis", "smaran-v2"} {
		require.EventuallyWithT(t, func(collect *assertT) {
			d, err := cluster.Deployments().Get(t.Context(), c, kube.Namespace, name)
			require.NoError(collect, err)
			require.Empty(collect, view.RolledOut(d))
		}, 3*time.Minute, time.Second)
	}
}

// curl asks smaran once, from a pod with or without a sidecar, and gives curl's exit code: 0 for an inference, not for an error that the
// pod's own sidecar answered with.
func curl(t *testing.T, c *cluster.Client, sidecar bool) int32 {
	t.Helper()
	name := map[bool]string{true: "e2e-inside", false: "e2e-outside"}[sidecar]
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: kube.Namespace,
			Labels:      map[string]string{"sidecar.istio.io/inject": map[bool]string{true: "true", false: "false"}[sidecar]},
			Annotations: map[string]string{"sidecar.istio.io/nativeSidecar": "true", "sidecar.istio.io/proxyCPU": "10m"},
		},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, TerminationGracePeriodSeconds: ptr.To(int64(1)),
			Containers: []corev1.Container{{
				Name: "curl", Image: "curlimages/curl:8.16.0",
				Command: []string{"curl"},
				Args:    []string{"--silent", "--show-error", "--max-time", "10", "--retry", "3", "-H", "x-call-session-id: e2e", "http://smaran-v2/inference"},
			}},
		},
	}
	ctx := context.WithoutCancel(t.Context())
	require.NoError(t, cluster.Pods().Delete(ctx, c, kube.Namespace, name, 0))
	require.EventuallyWithT(t, func(t *assertT) {
		_, err := cluster.Pods().Get(ctx, c, kube.Namespace, name)
		require.ErrorIs(t, err, cluster.ErrNotFound)
	}, time.Minute, time.Second)
	require.NoError(t, cluster.Pods().Create(ctx, c, kube.Namespace, pod))
	t.Cleanup(func() { require.NoError(t, cluster.Pods().Delete(ctx, c, kube.Namespace, name, 0)) })
	var code int32
	require.EventuallyWithT(t, func(t *assertT) {
		p, err := cluster.Pods().Get(ctx, c, kube.Namespace, name)
		require.NoError(t, err)
		require.NotEmpty(t, p.Status.ContainerStatuses)
		ended := p.Status.ContainerStatuses[0].State.Terminated
		require.NotNil(t, ended)
		code = ended.ExitCode
	}, 2*time.Minute, time.Second)
	return code
}
