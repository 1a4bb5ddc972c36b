package signals_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/driver"
	"github.com/smaran-v2/smaran/loadtest/internal/engine"
	"github.com/smaran-v2/smaran/loadtest/internal/live"
	"github.com/smaran-v2/smaran/loadtest/internal/peer"
	"github.com/smaran-v2/smaran/loadtest/internal/signals"
	"github.com/smaran-v2/smaran/loadtest/internal/signals/notes"
	"github.com/smaran-v2/smaran/services/telemetry"
	"github.com/smaran-v2/smaran/services/testreal"
	"github.com/smaran-v2/smaran/services/turn"
	"github.com/smaran-v2/smaran/services/wire"
)

// watcher sees all that fleets and the load test emit: it scrapes them, receives their spans, and has Prometheus scrape them.
type watcher struct {
	engine engine.Engine
	// control is the address of the fleet's control API; nil between fleets.
	control atomic.Pointer[string]
	// atUp is told where smaran is once a fleet is up.
	atUp func(smaran string)
	// shows is the present act's.
	shows string

	signals *signals.Signals
	// notes are of what Prometheus answered; nil where there is none.
	notes *notes.Notes
	// prometheus is its URL.
	prometheus string

	traces  *traces
	metrics signals.Seen
	// texts are what each job showed last.
	texts map[string]string
	stop  func()
}

func watchAll(t *testing.T) *watcher {
	t.Helper()
	w := &watcher{signals: read(t), metrics: signals.Seen{}, texts: map[string]string{}, traces: receive(t)}
	tele, err := telemetry.Setup(t.Context(), telemetry.Options{Service: "loadtest", Level: "error", Format: "text", Out: io.Discard, Environ: w.traces.environ})
	require.NoError(t, err)
	metrics := http.NewServeMux()
	metrics.Handle(wire.PathMetrics, telemetry.Scrape(tele.Registry, tele.Log))
	shown := httptest.NewServer(metrics)
	t.Cleanup(shown.Close)
	targets := httptest.NewServer(http.HandlerFunc(w.targets))
	t.Cleanup(targets.Close)
	loadtest := shown.Listener.Addr().String()
	if _, ok := testreal.Lookup(t, "prometheus"); ok {
		w.prometheus = "http://" + testreal.StartPrometheus(t, configuredHere(t, targets.URL, loadtest))
		w.notes, err = notes.New(w.signals, http.DefaultClient, w.prometheus, clockwork.NewRealClock())
		require.NoError(t, err)
	}
	phones, err := peer.NewAPI(peer.APIOptions{Log: slog.New(slog.DiscardHandler), Local: []netip.Addr{netip.MustParseAddr("127.0.0.1")}})
	require.NoError(t, err)
	t.Cleanup(phones.Close)
	w.engine = engine.Engine{Phones: engine.Pion{API: phones}, Clock: clockwork.NewRealClock(), Log: slog.New(slog.DiscardHandler),
		Live: live.New(tele.Registry), Tracer: tele.Tracer, Propagator: tele.Propagator}

	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	repeat := func(every time.Duration, do func(context.Context)) {
		work.Go(func() {
			ticker := time.NewTicker(every)
			defer ticker.Stop()
			for {
				do(ctx)
				select {
				case <-ticker.C:
				case <-ctx.Done():
					return
				}
			}
		})
	}
	relay := startRelay(ctx, t, &work)
	repeat(300*time.Millisecond, func(ctx context.Context) { w.scrape(ctx, targets.URL, loadtest, relay) })
	if w.notes != nil { // a round that fails is made up for by the next
		repeat(500*time.Millisecond, func(ctx context.Context) { _ = w.notes.Round(ctx) })
	}
	w.stop = sync.OnceFunc(func() {
		cancel()
		work.Wait()
		tele.Shutdown(t.Context())
	})
	t.Cleanup(w.stop)
	return w
}

// scraped waits until Prometheus has scraped so many pods of the present fleet.
func (w *watcher) scraped(ctx context.Context, pods int) error {
	if w.notes == nil {
		return nil
	}
	query := url.Values{"query": {fmt.Sprintf(`count(up{job="jarvis"} == 1) >= %d`, pods)}}.Encode()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		if answer, err := get(ctx, w.prometheus+"/api/v1/query?"+query); err == nil && strings.Contains(answer, `"value"`) {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// shown waits until the queries that wait for what the act shows have returned data, or half a minute: the test says then which did not.
func (w *watcher) shown(ctx context.Context) {
	if w.notes == nil || w.shows == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for slices.ContainsFunc(w.signals.Queries(), func(q signals.Query) bool {
		return strings.HasPrefix(q.Until, w.shows) && w.notes.Of(q).Series == 0
	}) {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// targets passes on what the fleet's control API says, and nothing between fleets.
func (w *watcher) targets(rw http.ResponseWriter, r *http.Request) {
	rw.Header().Set("Content-Type", wire.ContentTypeJSON)
	answer := "[]"
	if control := w.control.Load(); control != nil {
		if text, err := get(r.Context(), "http://"+*control+"/targets"); err == nil {
			answer = text
		}
	}
	_, _ = io.WriteString(rw, answer)
}

// startRelay runs one that nobody uses, as no fleet on one machine needs it, and returns the address of its admin port.
func startRelay(ctx context.Context, t *testing.T, work *sync.WaitGroup) (admin string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	admin = l.Addr().String()
	require.NoError(t, l.Close())
	work.Go(func() {
		// Where it does not start, what it emits is missed.
		_ = turn.Run(ctx, nil, []string{
			"TURN_LISTEN=127.0.0.1:0", "TURN_ADMIN_LISTEN=" + admin, "TURN_SECRET=a secret of the tests", "TURN_RELAY_ADDRESS=127.0.0.1",
			"TURN_PEERS=192.0.2.0/24",
		}, io.Discard, io.Discard)
	})
	return admin
}

// scrape asks everything once. What does not answer is gone, or will answer next time.
func (w *watcher) scrape(ctx context.Context, targets, loadtest, relay string) {
	var list []struct {
		Targets []string
		Labels  map[string]string
	}
	text, err := get(ctx, targets)
	if err != nil || json.Unmarshal([]byte(text), &list) != nil {
		return
	}
	one := func(job, address string) {
		text, err := get(ctx, "http://"+address+wire.PathMetrics)
		if err == nil && w.metrics.Scraped(job, strings.NewReader(text)) == nil {
			w.texts[job] = text
		}
	}
	one("loadtest", loadtest)
	one("turn", relay)
	for _, to := range list {
		if job := to.Labels["job"]; job != envoyJob {
			one(job, to.Targets[0])
		}
	}
}

// envoyJob are targets whose metrics are not ours.
const envoyJob = "envoy"

// patience bounds one answer of what may be frozen.
const patience = 2 * time.Second

func get(ctx context.Context, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", url, res.Status)
	}
	text, err := io.ReadAll(res.Body)
	return string(text), err
}

// staged tells the watcher of fleets that come and go.
type staged struct {
	driver.Driver
	watcher *watcher
}

func (s staged) Up(ctx context.Context, spec driver.Spec) (driver.Fleet, error) {
	fleet, err := s.Driver.Up(ctx, spec)
	if err != nil {
		return nil, err
	}
	status, err := fleet.Status(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range status.GetProcesses() {
		if p.GetName() == wire.FleetProcess {
			address := p.GetAddress()
			s.watcher.control.Store(&address)
		}
	}
	go s.watcher.atUp(status.GetSmaranUrl())
	return leaving{fleet, s.watcher}, nil
}

// leaving is a fleet that the watcher looks away from before it goes down: what goes down then is no alert. It stays until it has shown what it is
// there for.
type leaving struct {
	driver.Fleet
	watcher *watcher
}

func (l leaving) Down(ctx context.Context) error {
	l.watcher.shown(ctx)
	l.watcher.control.Store(nil)
	return l.Fleet.Down(ctx)
}
