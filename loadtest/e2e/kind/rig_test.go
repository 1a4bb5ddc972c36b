package kind_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"

	"github.com/smaran-v2/smaran/loadtest/internal/cli"
	"github.com/smaran-v2/smaran/loadtest/internal/envoyadmin"
	"github.com/smaran-v2/smaran/loadtest/internal/kube"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/cluster"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/forward"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/overlay"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/proxies"
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

// calls of a run.
const calls = 12

// few is none on a machine that keeps up. On one that does not, a pod may miss its probes, or Redis the 50 ms that it is given, and some
// sessions pay for it.
func few(t *testing.T, r *reportv1.Result, n uint64, what string) {
	t.Helper()
	if r.GetValid() {
		require.Zero(t, n, "%s: %s", r.GetBackend(), what)
		return
	}
	require.Less(t, n, uint64(calls/4), "%s: %s, on a busy machine: %v", r.GetBackend(), what, r.GetInvalidReasons())
}

// run puts backends under a small load, one after another, and does things to each. It gives their results by name.
func run(t *testing.T, backends []string, duration time.Duration, events ...string) map[string]*reportv1.Result {
	t.Helper()
	results, err := runFor(t.Context(), t, backends, duration, events...)
	for _, r := range results {
		for _, why := range r.GetInvalidReasons() { // only a machine that is too busy to measure on may make it so: it is late, or Istio is
			require.Regexp(t, "the generator|a change of endpoints", why, r.GetBackend())
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
		"--calls", strconv.Itoa(calls), "--rate", "12", "--warmup", "4s", "--watchdog", "2s", "--duration", duration.String(), "--json", file,
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

// The clients: the walk-through's pod with curl, whose account may call jarvis, and two like it with an account that nobody names, one of
// them without a sidecar.
const (
	debug    = "debug"
	stranger = "stranger"
	outside  = "outside"
)

// clients are the objects of all of them.
func clients(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	objects, err := manifests.Render(filepath.Join(deploy, "variants", debug))
	require.NoError(t, err)
	out := objects
	for _, o := range objects {
		if o.GetKind() != "Deployment" {
			continue
		}
		for _, name := range []string{stranger, outside} {
			o = o.DeepCopy()
			o.SetName(name)
			set(t, o, name, "spec", "selector", "matchLabels", "app")
			set(t, o, name, "spec", "template", "metadata", "labels", "app")
			set(t, o, "default", "spec", "template", "spec", "serviceAccountName")
			if name == outside {
				set(t, o, "false", "spec", "template", "metadata", "labels", "sidecar.istio.io/inject")
			}
			out = append(out, o)
		}
	}
	return out
}

func set(t *testing.T, o *unstructured.Unstructured, value any, path ...string) {
	t.Helper()
	require.NoError(t, unstructured.SetNestedField(o.Object, value, path...))
}

// overlaid are the objects of an overlay, with so many jarvis.
func overlaid(t *testing.T, name string, replicas int64) []*unstructured.Unstructured {
	t.Helper()
	objects, err := manifests.RenderWith(deploy, name)
	require.NoError(t, err)
	for _, o := range objects {
		if o.GetKind() == "Deployment" && o.GetName() == kube.Jarvis {
			set(t, o, replicas, "spec", "replicas")
		}
	}
	return objects
}

// take makes the namespace what the objects say, as a user has it. At the end of the test it is what it was before, whatever became of it.
func take(t *testing.T, c *cluster.Client, objects []*unstructured.Unstructured) overlay.Namespace {
	t.Helper()
	n := overlay.Namespace{Cluster: c, Name: kube.Namespace, Clock: clockwork.NewRealClock()}
	before, earlier, err := n.Remember(t.Context(), objects, t.Name())
	require.NoError(t, err)
	require.Nil(t, earlier, "a load test was killed here: make a run first, it puts the namespace right")
	require.NoError(t, cluster.Secrets().Delete(t.Context(), c, kube.Namespace, "loadtest-found", -1)) // the program under test keeps its own
	t.Cleanup(func() { require.NoError(t, n.Restore(context.WithoutCancel(t.Context()), before, objects)) })
	become(t, n, objects)
	return n
}

// become makes the namespace what the objects say, and waits for its pods.
func become(t *testing.T, n overlay.Namespace, objects []*unstructured.Unstructured) {
	t.Helper()
	require.NoError(t, n.Switch(t.Context(), objects))
	ctx := t.Context()
	for _, o := range objects {
		if o.GetKind() != "Deployment" {
			continue
		}
		require.EventuallyWithT(t, func(t *assertT) {
			d, err := cluster.Deployments().Get(ctx, n.Cluster, kube.Namespace, o.GetName())
			require.NoError(t, err)
			require.Empty(t, view.RolledOut(d))
		}, 3*time.Minute, time.Second, o.GetName())
	}
}

// pod is the client's that runs.
func pod(ctx context.Context, t require.TestingT, c *cluster.Client, client string) string {
	pods, err := cluster.Pods().List(ctx, c, kube.Namespace, "app="+client)
	require.NoError(t, err)
	pods = slices.DeleteFunc(pods, func(p *corev1.Pod) bool { return !view.Ready(p) })
	require.Len(t, pods, 1, client)
	return pods[0].Name
}

// execTime bounds a command.
const execTime = time.Minute

// shell runs a command in a client, and gives what it printed. The error is the command's, where it failed.
func shell(ctx context.Context, t require.TestingT, c *cluster.Client, client, command string) (string, error) {
	address, path, err := rest.DefaultServerUrlFor(c.REST)
	require.NoError(t, err)
	target := address.JoinPath(path, "api/v1/namespaces", kube.Namespace, "pods", pod(ctx, t, c, client), "exec")
	target.RawQuery = url.Values{"container": {"curl"}, "command": {"sh", "-c", command}, "stdout": {"true"}, "stderr": {"true"}}.Encode()
	executor, err := remotecommand.NewWebSocketExecutor(c.REST, http.MethodGet, target.String())
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(ctx, execTime)
	defer cancel()
	var stdout, stderr bytes.Buffer
	if err := executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: &stdout, Stderr: &stderr}); err != nil {
		return stdout.String(), fmt.Errorf("%s: %w: %s", command, err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// answer is what came of a request.
type answer struct{ code, pod, cookie string }

// ask sends requests from a client, a few at a time, with curl's arguments, in which {} is a request's number.
func ask(ctx context.Context, t require.TestingT, c *cluster.Client, client, arguments string) (out []answer) {
	said, err := shell(ctx, t, c, client, fmt.Sprintf(`seq %d | xargs -P 5 -I{} curl --silent --max-time 10 --output /dev/null `+
		`--write-out '%%{http_code} %%header{x-jarvis-pod} %%header{set-cookie}\n' %s`, asked, arguments))
	require.NoError(t, err)
	for line := range strings.Lines(said) {
		fields := append(strings.SplitN(strings.TrimSpace(line), " ", 3), "", "")
		out = append(out, answer{fields[0], fields[1], fields[2]})
	}
	require.Len(t, out, asked)
	return out
}

// asked is how many requests are sent at a time. That so many go to one of three pods by chance happens once in a billion times.
const asked = 20

// podsOf are the pods that answered, and all did.
func podsOf(t require.TestingT, answers []answer) map[string]bool {
	pods := map[string]bool{}
	for _, a := range answers {
		require.Equal(t, "200", a.code)
		pods[a.pod] = true
	}
	return pods
}

// refused says that no request got through, and each has the code.
func refused(t require.TestingT, code string, answers []answer) {
	for _, a := range answers {
		require.Equal(t, answer{code: code}, a)
	}
}

// sidecar is the Envoy beside a client.
func sidecar(t *testing.T, c *cluster.Client, client string) envoyadmin.Admin {
	t.Helper()
	at := forward.Pod{Namespace: kube.Namespace, Name: pod(t.Context(), t, c, client), Port: proxies.AdminPort}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return forward.Dialer{Config: c.REST}.Dial(ctx, at)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return envoyadmin.Admin{Base: "http://envoy", HTTP: &http.Client{Transport: transport, Timeout: execTime}}
}
