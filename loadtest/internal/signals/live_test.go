package signals_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/smaran-v2/smaran/loadtest/internal/driver"
	"github.com/smaran-v2/smaran/loadtest/internal/driver/drivertest"
	"github.com/smaran-v2/smaran/loadtest/internal/engine"
	"github.com/smaran-v2/smaran/loadtest/internal/plan"
	"github.com/smaran-v2/smaran/loadtest/internal/scenario"
	"github.com/smaran-v2/smaran/loadtest/internal/signals"
	"github.com/smaran-v2/smaran/proto/smaran/v1/smaranv1connect"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/testreal"
	"github.com/smaran-v2/smaran/services/wire"
)

// act is one fleet under load, with what is done to it. Together the acts make everything happen that docs/telemetry.md lists, and every event of
// empty.yaml that one machine can have.
type act struct {
	name, backend, mesh string
	pods, calls         int
	rate, callRate      float64
	events              []string
	lasts               time.Duration
	// overtaken: the last event may take longer than the act, or not be begun: another act has the same, or nothing depends on its end.
	overtaken bool
	// shows begins what empty.yaml says some queries wait for. The fleet stays until they have returned data, as a machine that is busy scrapes late.
	shows string
	// beside is done while the load goes on, given where smaran is.
	beside func(ctx context.Context, w *watcher, smaran string) error
}

func acts(envoy bool) []act {
	all := []act{
		{name: "one session asks, the others are silent", backend: "istio-hash", pods: 3, calls: 1, rate: 2, lasts: 12 * time.Second,
			shows: "one session with nearly all",
			// What was answered before is answered from the cache, so that a second brings hundreds.
			beside: func(ctx context.Context, w *watcher, smaran string) error {
				if err := w.scraped(ctx, 3); err != nil { // what was there at the first scrape is no increase
					return err
				}
				var all errgroup.Group
				for range 4 {
					all.Go(func() error { return repeat(ctx, smaran, "room-1", 300, nil) })
				}
				return errors.Join(all.Wait(), otherRequests(ctx, smaran))
			}},
		{name: "sessions move with handoff", backend: "handoff", pods: 3, calls: 8, rate: 16,
			events: []string{"2s:scale=5", "5s:rollout", "10s:kill"}, lasts: 16 * time.Second, overtaken: true},
		{name: "calls end for a pod that ends", backend: "istio-hash", pods: 3, calls: 6, rate: 24, events: []string{"1s:kill", "4s:scale=2"}, lasts: 8 * time.Second},
		{name: "every request goes elsewhere", backend: "roundrobin", pods: 3, calls: 3, rate: 40, lasts: 7 * time.Second,
			shows: "requests of known sessions"},
		{name: "Redis goes and comes back", backend: "redis", pods: 3, calls: 6, rate: 12, callRate: 1, events: []string{"2s:redis=down", "6s:redis=up"}, lasts: 9 * time.Second},
		{name: "pods leave, and their sessions ask no more", backend: "stateful-header", pods: 3, calls: 2, rate: 4, events: []string{"2s:scale=1"}, lasts: 6 * time.Second,
			beside: func(ctx context.Context, w *watcher, smaran string) error {
				var all errgroup.Group
				for i := range 12 {
					all.Go(func() error {
						return repeat(ctx, smaran, fmt.Sprintf("silent-%d", i), 1, http.Header{wire.HeaderStateful: {"made-up"}})
					})
				}
				return all.Wait()
			}},
		{name: "nobody takes what a pod leaves", backend: "handoff", pods: 2, calls: 6, rate: 6, events: []string{"2s:freeze=jarvis-1", "2500ms:stop=jarvis-2"}, lasts: 10 * time.Second, overtaken: true},
	}
	if envoy {
		all = append(all, act{name: "an Envoy routes", backend: "istio-hash", mesh: "envoy", pods: 3, calls: 4, rate: 12, lasts: 6 * time.Second,
			shows: "an Envoy is scraped"})
	}
	return all
}

// repeat asks the same n times as a session.
func repeat(ctx context.Context, smaran, id string, n int, extra http.Header) error {
	for range n {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, smaran+wire.PathInference+"?prompt=hello", nil)
		if err != nil {
			return err
		}
		for name, values := range extra {
			req.Header.Set(name, values[0])
		}
		req.Header.Set(session.Header, id)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, res.Body)
		if err := errors.Join(err, res.Body.Close()); err != nil {
			return err
		}
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("%s is answered %s", id, res.Status)
		}
	}
	return nil
}

// otherRequests are those that callers do not make.
func otherRequests(ctx context.Context, smaran string) error {
	var all []error
	for _, r := range []struct{ method, path, body, id string }{
		{http.MethodGet, wire.PathFleet, "", ""},
		{http.MethodPost, wire.PathSessions, "{}", ""},
		{http.MethodGet, "/nowhere", "", ""},
		{http.MethodPost, smaranv1connect.SmaranServiceInferProcedure, `{"prompt":"hello"}`, "room-1"},
	} {
		req, err := http.NewRequestWithContext(ctx, r.method, smaran+r.path, strings.NewReader(r.body))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", wire.ContentTypeJSON)
		if r.id != "" {
			req.Header.Set(session.Header, r.id)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		all = append(all, res.Body.Close())
	}
	return errors.Join(all...)
}

// TestTelemetryIsAContract runs fleets under load on this machine. What they emit is what docs/telemetry.md lists, neither more nor less; every
// query of every dashboard and alert returns data from a real Prometheus that scraped them, some only after the event that they wait for; and a
// call is one trace.
func TestTelemetryIsAContract(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes two minutes")
	}
	program := drivertest.Fleet(t, root)
	envoy, hasEnvoy := testreal.Lookup(t, "envoy")
	if hasEnvoy {
		t.Setenv("ENVOY_BIN", envoy)
	}
	w := watchAll(t)
	local := &driver.Local{Program: program, Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)}
	for _, a := range acts(hasEnvoy) {
		w.play(t, a, local)
	}
	w.stop()

	text, err := os.ReadFile(root + "docs/telemetry.md")
	require.NoError(t, err)
	t.Run("metrics", func(t *testing.T) {
		table, err := signals.Table(string(text))
		require.NoError(t, err)
		require.Empty(t, signals.Differences(table, w.metrics))
		renamed := slices.Clone(table)
		renamed[1].Name += "_renamed"
		require.Len(t, signals.Differences(renamed, w.metrics), 2, "a metric that is renamed is noticed, from either side")
	})
	t.Run("promtool would find nothing", func(t *testing.T) {
		require.Len(t, w.texts, 5, "smaran, jarvis, mesh, turn and loadtest")
		for job, text := range w.texts {
			problems, err := promlint.New(strings.NewReader(text)).Lint()
			require.NoError(t, err)
			for _, p := range problems {
				require.True(t, strings.HasPrefix(p.Metric, "go_") || strings.HasPrefix(p.Metric, "process_"), "%s: %s: %s", job, p.Metric, p.Text)
			}
		}
	})
	t.Run("spans", func(t *testing.T) {
		table, err := signals.Spans(string(text))
		require.NoError(t, err)
		require.Empty(t, signals.SpanDifferences(table, w.traces.seen))
	})
	t.Run("a call is one trace", w.traces.callsAreTraces)
	t.Run("queries", func(t *testing.T) {
		if w.notes == nil {
			testreal.Binary(t, "prometheus") // says why it is skipped
		}
		if !hasEnvoy {
			testreal.Binary(t, "envoy")
		}
		w.judge(t)
	})
}

// judge: each query has returned data, but for those that wait for something that one machine does not have.
func (w *watcher) judge(t *testing.T) {
	elsewhere := func(until string) bool {
		return strings.Contains(until, "cluster's variant") || strings.Contains(until, "a sidecar")
	}
	var silent []string
	for _, q := range read(t).Queries() {
		switch answered := w.notes.Of(q).Series > 0; {
		case elsewhere(q.Until):
			require.False(t, answered, "%s waits for %q, which is not here", q, q.Until)
		case !answered:
			silent = append(silent, fmt.Sprintf("%s: %s (until %q)", q, q.Expr, q.Until))
		}
	}
	require.Empty(t, silent)
}

// play runs an act.
func (w *watcher) play(t *testing.T, a act, local driver.Driver) {
	t.Helper()
	s := scenario.Scenario{Name: "custom", Pods: a.pods, Duration: a.lasts}
	for _, text := range a.events {
		e, err := scenario.ParseEvent(text)
		require.NoError(t, err)
		s.Events = append(s.Events, e)
	}
	beside := make(chan error, 1)
	w.atUp = func(smaran string) {
		if a.beside == nil {
			beside <- nil
			return
		}
		beside <- a.beside(t.Context(), w, smaran)
	}
	w.shows = a.shows
	e := w.engine
	e.Driver = staged{local, w}
	result, err := e.Run(t.Context(), engine.Spec{Backend: a.backend, Scenario: s, Repeat: 1, Mesh: a.mesh, Redis: "embedded", Grace: 4 * time.Second,
		Load:      plan.Load{Calls: a.calls, Rate: a.rate, CallRate: a.callRate, Warmup: 2 * time.Second, Seed: 7},
		Behaviour: engine.Behaviour{OnMisroute: "redial", GapThreshold: 200 * time.Millisecond, Watchdog: 150 * time.Millisecond}})
	require.NoError(t, err, a.name)
	require.NoError(t, <-beside, a.name)
	require.NotZero(t, result.GetLoad().GetRequests(), a.name)
	for i, done := range result.GetEvents() {
		if a.overtaken && i == len(a.events)-1 {
			break
		}
		require.Empty(t, done.GetError(), "%s: %s", a.name, done.GetName())
	}
}

// configuredHere is a directory with the configuration of one machine's Prometheus, which asks the test where things are, and often.
func configuredHere(t *testing.T, targets, loadtest string) (dir string) {
	t.Helper()
	dir = configured(t, places["local"])
	edit(t, filepath.Join(dir, "prometheus.yml"), func(config map[string]any) {
		config["global"].(map[string]any)["scrape_interval"] = "500ms"
	})
	scrape := filepath.Join(dir, "scrape.yml")
	text, err := os.ReadFile(scrape)
	require.NoError(t, err)
	for old, to := range map[string]string{"http://127.0.0.1:7070": targets, "127.0.0.1:9464": loadtest, "refresh_interval: 5s": "refresh_interval: 1s"} {
		require.Contains(t, string(text), old)
		text = bytes.ReplaceAll(text, []byte(old), []byte(to))
	}
	require.NoError(t, os.WriteFile(scrape, text, 0o644))
	return dir
}
