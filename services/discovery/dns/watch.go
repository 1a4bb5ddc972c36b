package dns

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/smaran-v2/smaran/services/discovery/internal/latest"
)

// How a Watcher looks, and what an Envoy beside it has to be told to see the same.
const (
	// Interval is the time between two rounds of lookup and checks.
	Interval = 500 * time.Millisecond
	// LookupTimeout bounds a lookup, CheckTimeout a check and the question for the pod's name.
	LookupTimeout = time.Second
	CheckTimeout  = 500 * time.Millisecond
	// UnhealthyAfter is how many checks in a row must go without an answer.
	UnhealthyAfter = 2
)

// Name is a name whose addresses are the pods.
type Name struct {
	Host string
	// Port is the pods' public port, Admin the one that says whether they are ready.
	Port, Admin uint16
}

// Resolver is net.Resolver.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Deps are what a Watcher works with.
type Deps struct {
	Resolver Resolver
	// Dial connects to pods.
	Dial  func(ctx context.Context, network, address string) (net.Conn, error)
	Clock clockwork.Clock
	Log   *slog.Logger
}

// Defaults are the system's.
func Defaults(log *slog.Logger) Deps {
	dial := (&net.Dialer{}).DialContext
	return Deps{
		Resolver: NewResolver(dial),
		Dial:     dial,
		Clock:    clockwork.NewRealClock(),
		Log:      log,
	}
}

// Watcher follows a name. It is safe for concurrent use.
type Watcher struct {
	*latest.Sets
	name Name
	deps Deps
	log  *slog.Logger
	http *http.Client
	done chan struct{}

	// Only the goroutine that follows uses what is below.
	hosts map[netip.Addr]*host
	// named counts the pods that were asked for their name: see list.
	named uint64
	// unresolved is set while lookups fail.
	unresolved bool
}

// Watch looks once, which takes LookupTimeout and twice CheckTimeout at most, and then every Interval until ctx ends.
func Watch(ctx context.Context, name Name, deps Deps) *Watcher {
	w := &Watcher{
		Sets: latest.New(), name: name, deps: deps, log: deps.Log.With("name", name.Host),
		http:  &http.Client{Transport: &http.Transport{DialContext: deps.Dial, DisableCompression: true}},
		done:  make(chan struct{}),
		hosts: map[netip.Addr]*host{},
	}
	ticker := deps.Clock.NewTicker(Interval)
	w.look(ctx)
	go w.follow(ctx, ticker)
	return w
}

// Done is closed once the context of Watch has ended and nothing of the Watcher is left.
func (w *Watcher) Done() <-chan struct{} { return w.done }

func (w *Watcher) follow(ctx context.Context, ticker clockwork.Ticker) {
	defer close(w.done)
	defer w.http.CloseIdleConnections()
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.Chan():
			w.look(ctx)
		}
	}
}

// look is one round.
func (w *Watcher) look(ctx context.Context) {
	w.resolve(ctx)
	w.check(ctx)
	if ctx.Err() != nil {
		return // checks that were cut short say nothing
	}
	for address, h := range w.hosts {
		if !h.listed && !h.passes {
			delete(w.hosts, address)
		}
	}
	if w.Put(w.list()) {
		set := w.Current()
		w.log.InfoContext(ctx, "endpoints changed", "version", set.Version, "endpoints", len(set.Endpoints), "addresses", len(w.hosts))
	}
}
