package compose_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/cli"
	"github.com/smaran-v2/smaran/loadtest/internal/driver"
	"github.com/smaran-v2/smaran/loadtest/internal/report"
	"github.com/smaran-v2/smaran/loadtest/internal/scenario"
	"github.com/smaran-v2/smaran/loadtest/internal/signals"
	"github.com/smaran-v2/smaran/loadtest/internal/signals/notes"
	"github.com/smaran-v2/smaran/loadtest/internal/signals/spans"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/wire"
)

// elsewhere are the events of empty.yaml that docker compose can't bring about, and why.
var elsewhere = map[string]string{
	"one machine":   "docker compose has a real Envoy, and no embedded mesh",
	"embedded mesh": "docker compose has a real Envoy, and no embedded mesh",
	"variant":       "an Envoy that detects outliers is the cluster's",
	"sidecar":       "sidecars are the cluster's",
	"move in time":  "a pod ends as soon as its time is over, and seldom is a scrape between: promtool's test of the alert has to do",
}

// TestEachPanelShowsAFleetAtWork brings up what observes as docs/observability.md has it, but for Grafana, puts fleets beside it and has their
// events happen. Each query of a dashboard or an alert then has returned data, or has a reason here why it could not.
func TestEachPanelShowsAFleetAtWork(t *testing.T) {
	required(t)
	read, err := signals.Read(filepath.Join("..", "..", "..", "deploy", "observability"))
	require.NoError(t, err)
	prometheus, jaeger := observe(t)
	n, err := notes.New(read, http.DefaultClient, prometheus, clockwork.NewRealClock())
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	var taking sync.WaitGroup
	taking.Go(func() { assert.NoError(t, n.Take(ctx)) })
	t.Cleanup(func() { stop(); taking.Wait(); http.DefaultClient.CloseIdleConnections() })

	t.Run("alerts", func(t *testing.T) { provoke(t, n) })
	t.Run("a load test", func(t *testing.T) {
		loadTest(t, "handoff", "50s", "10s:scale=10", "30s:kill")
		require.Empty(t, n.Blank(), "all at once")
	})
	t.Run("one call is one trace", func(t *testing.T) { oneTrace(t, jaeger) })
	t.Run("no affinity", func(t *testing.T) {
		loadTest(t, "roundrobin", "15s")
		returned(t, n, "Misroutes")
	})
	t.Log("\n" + strings.Join(n.Rows(), "\n"))
	for event, why := range elsewhere {
		t.Logf("not here: until %s: %s", event, why)
	}
	require.Empty(t, n.Unexplained(elsewhere))
}

// observe starts what observes, and leaves nothing of it.
func observe(t *testing.T) (prometheus, jaeger string) {
	t.Helper()
	for _, name := range []string{"PROMETHEUS_PORT", "JAEGER_PORT", "OTLP_PORT"} {
		t.Setenv(name, "0") // any that is free
	}
	compose := func(args ...string) string {
		args = append([]string{"compose", "--project-name", project, "--file", composeFile, "--profile", "*"}, args...)
		out, err := exec.CommandContext(context.WithoutCancel(t.Context()), "docker", args...).Output()
		if failed := new(exec.ExitError); errors.As(err, &failed) {
			assert.Fail(t, "docker compose", string(failed.Stderr))
		}
		return strings.TrimSpace(string(out))
	}
	t.Cleanup(func() {
		compose("down", "--volumes", "--timeout", "1")
		left(t, project, 0)
	})
	compose("up", "--detach", "--no-deps", "prometheus", "otel-collector", "jaeger")
	t.Setenv("OTLP_ENDPOINT", "http://otel-collector:4318")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+compose("port", "otel-collector", "4318"))
	t.Setenv("OTEL_METRICS_EXPORTER", "none")
	return "http://" + compose("port", "prometheus", "9090"), "http://" + compose("port", "jaeger", "16686")
}

// loadTest is the command as a user gives it. That a busy machine makes its run invalid does not matter here.
func loadTest(t *testing.T, backend, duration string, events ...string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "report.json")
	args := []string{"run", "--driver", "compose", "--compose-file", composeFile, "--project", project, "--metrics", ":9464", "--backend", backend,
		"--duration", duration, "--watchdog", "1s", "--json", file}
	for _, e := range events {
		args = append(args, "--event", e)
	}
	var said bytes.Buffer
	err := cli.Run(t.Context(), args, &said, os.Stderr)
	r, loadErr := report.Load(file)
	require.NoError(t, loadErr, "%v", err)
	require.Len(t, r.GetResults(), 1)
	for _, e := range r.GetResults()[0].GetEvents() {
		require.Empty(t, e.GetError(), e.GetName())
	}
	t.Log("\n" + said.String())
}

// provoke has those alerts' queries return something that take more than load: what docs/runbooks.md says under "Make it fire".
func provoke(t *testing.T, n *notes.Notes) {
	f, err := newDriver(project).Up(t.Context(), driver.Spec{Backend: "redis", Pods: 3, Seed: 1})
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Down(context.WithoutCancel(t.Context()))) }()
	do := func(text string) {
		t.Helper()
		e, err := scenario.ParseEvent("0s:" + text)
		require.NoError(t, err)
		_, err = f.Do(t.Context(), e)
		require.NoError(t, err)
	}
	url := status(t, f).GetSmaranUrl()

	// One session with all requests, and more than a second of them for five minutes.
	returned(t, n, "Pod count")
	for range 400 {
		ask(t, url, "loud")
	}
	returned(t, n, "UnevenLoad")
	returned(t, n, "PodWithoutTraffic")

	for i := range 30 {
		ask(t, url, session.ID(fmt.Sprintf("quiet-%d", i)))
	}
	do("scale=2")
	returned(t, n, "SessionsWithoutOwner")

	do("redis=down")
	ask(t, url, "loud")
	returned(t, n, "RedisDegraded")
	do("freeze=jarvis-1")
	returned(t, n, "TargetDown")
	returned(t, n, "Alerts that fire")
}

// returned waits until all queries of a panel or an alert have returned something.
func returned(t *testing.T, n *notes.Notes, panel string) {
	t.Helper()
	require.Eventually(t, func() bool { return n.Shown(panel) }, time.Minute, 100*time.Millisecond, panel)
}

func ask(t *testing.T, url string, id session.ID) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+wire.PathInference, nil)
	require.NoError(t, err)
	session.Set(r.Header, id)
	res, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, res.StatusCode)
}

// oneTrace: what a call asked of smaran and of pods is below it, and so is what moved it from pod to pod, with a link to what made it move.
func oneTrace(t *testing.T, jaeger string) {
	moved := map[string]bool{}
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		traces, err := spans.Calls(context.Background(), http.DefaultClient, jaeger)
		require.NoError(t, err)
		require.Len(t, traces, 24, "one for each of the load test's calls")
		for _, trace := range traces {
			require.Empty(t, trace.Missing())
			for _, name := range trace.Below() {
				moved[name] = true
			}
			for _, name := range trace.Linked() {
				moved["linked "+name] = true
			}
		}
	}, 30*time.Second, time.Second)
	for _, name := range []string{wire.SpanCopy, wire.SpanSettle, wire.SpanMigrate, "linked " + wire.SpanCopy, "linked " + wire.SpanMigrate} {
		require.True(t, moved[name], name)
	}
}
