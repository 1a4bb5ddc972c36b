package mesh

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/mesh/balance"
	"github.com/smaran-v2/smaran/services/mesh/upstream"
	"github.com/smaran-v2/smaran/services/telemetry"
)

// Kept connections are looked at this often, and closed after as long without use as in Envoy (idle_timeout).
const (
	sweepInterval = 10 * time.Second
	idleTimeout   = time.Hour
)

// Dependencies are what a Mesh gets from its process. All are required but Tracer and Propagator.
type Dependencies struct {
	Log      *slog.Logger
	Registry prometheus.Registerer
	Clock    clockwork.Clock
	// Tracer makes a span for each request, unless it is nil or does nothing. Trace headers pass through in any case.
	Tracer     trace.TracerProvider
	Propagator propagation.TextMapPropagator
}

// Mesh is the proxy, an http.Handler for a server that speaks HTTP/1.1 and h2c.
type Mesh struct {
	options Options
	log     *slog.Logger
	clock   clockwork.Clock
	tracing *tracing // nil where there is none
	metrics *metrics
	state   *balance.State
	session sessions
	// sessionHeader is the canonical form of what is hashed.
	sessionHeader string

	current atomic.Pointer[snapshot]
	pods    map[string]*pod // by address; only follow uses it
	watcher *endpoints.Watcher

	done      chan struct{} // closed when follow has ended
	exchanges sync.WaitGroup
}

// New reads the endpoints file and follows it until ctx ends. It fails for options that Check refuses and where there is
// no valid file.
func New(ctx context.Context, o Options, d Dependencies) (*Mesh, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	seed := o.Seed
	if seed == 0 {
		seed = rand.Uint64()
	}
	m := &Mesh{
		options:       o,
		log:           d.Log,
		clock:         d.Clock,
		metrics:       newMetrics(d.Registry),
		state:         balance.NewState(balance.NewSource(seed)),
		session:       newSessions(o, d.Clock),
		sessionHeader: http.CanonicalHeaderKey(o.SessionHeader),
		pods:          map[string]*pod{},
		done:          make(chan struct{}),
	}
	if !telemetry.Off(d.Tracer) {
		m.tracing = newTracing(d.Tracer, d.Propagator, o.Policy)
	}
	watching, stop := context.WithCancel(ctx)
	watcher, err := endpoints.Watch(watching, o.Endpoints, d.Log)
	if err != nil {
		stop()
		return nil, err
	}
	m.watcher = watcher
	changed := watcher.Changed()
	if err := m.load(watcher.Current()); err != nil {
		stop()
		<-watcher.Done()
		return nil, err
	}
	go func() {
		defer stop()
		m.follow(watching, changed)
	}()
	return m, nil
}

// Wait returns once the context of New has ended and nothing of the mesh is left: call it after the server's end.
func (m *Mesh) Wait() {
	<-m.done
	m.exchanges.Wait()
}

// follow owns the pods.
func (m *Mesh) follow(ctx context.Context, changed <-chan struct{}) {
	defer close(m.done)
	sweep := m.clock.NewTicker(sweepInterval)
	defer sweep.Stop()
	for {
		select {
		case <-changed:
			changed = m.watcher.Changed()
			if err := m.load(m.watcher.Current()); err != nil {
				m.log.Error("endpoints refused; the last ones stay", "error", err)
			}
		case <-sweep.Chan():
			for _, p := range m.pods {
				p.Sweep(idleTimeout)
			}
		case <-ctx.Done():
			<-m.watcher.Done()
			for _, p := range m.pods {
				p.Retire()
			}
			return
		}
	}
}

// load makes set current. Requests under way keep what they have: their pods finish them even if set no longer has these.
func (m *Mesh) load(set endpoints.Set) error {
	pods := make(map[string]*pod, len(set.Endpoints))
	for _, e := range set.Endpoints {
		p, known := m.pods[e.Address]
		if !known {
			p = &pod{Host: upstream.NewHost(e.Address, m.options.ConnectTimeout)}
		}
		pods[e.Address] = p
	}
	next, err := m.newSnapshot(set, pods)
	if err != nil {
		m.metrics.reloads.WithLabelValues("refused").Inc()
		return err
	}
	previous := m.current.Swap(next)
	m.metrics.left(m.options.Policy, previous, next)
	for address, p := range m.pods {
		if pods[address] != p {
			p.Retire()
		}
	}
	m.pods = pods
	m.metrics.reloads.WithLabelValues("taken").Inc()
	m.metrics.loaded(set)
	return nil
}
