package proxies

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/smaran-v2/smaran/services/endpoints"
)

// PollEvery is how often proxies are asked, and so how exact arrivals are.
const PollEvery = 200 * time.Millisecond

// Arrivals notes when each version of the endpoints had reached a proxy. It is safe for concurrent use.
type Arrivals struct {
	mu      sync.Mutex
	pending []version
	past    []version // those that have arrived
	shown   []string  // the hosts that the proxy had when it was last asked
	slowest time.Duration
	arrived int
	failed  error // of the last time that the proxy was asked
	blind   error // of the time before slowest was seen
}

type version struct {
	at    time.Time
	hosts []string
}

// Wrote says that the endpoints became what set says.
func (a *Arrivals) Wrote(at time.Time, set []endpoints.Endpoint) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pending = append(a.pending, version{at, InRotation(set)})
}

// Has says what the proxy has before anything is written.
func (a *Arrivals) Has(set []endpoints.Endpoint) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.shown = InRotation(set)
}

// Saw says what the proxy has. Every version up to the newest with these hosts has arrived: what was overtaken while Istio waited for
// more changes was never sent. Where it was sent after all, as when a change that was taken back reaches a proxy late, it arrives now.
func (a *Arrivals) Saw(at time.Time, set []endpoints.Endpoint) {
	a.mu.Lock()
	defer a.mu.Unlock()
	hosts := InRotation(set)
	same := func(v version) bool { return slices.Equal(v.hosts, hosts) }
	if i := lastIndex(a.pending, same); i >= 0 {
		for _, v := range a.pending[:i+1] {
			a.took(at.Sub(v.at))
		}
		a.arrived += i + 1
		a.past = append(a.past, a.pending[:i+1]...)
		a.pending = a.pending[i+1:]
	} else if i := lastIndex(a.past, same); i >= 0 && !slices.Equal(hosts, a.shown) {
		a.took(at.Sub(a.past[i].at))
	}
	a.shown, a.failed = hosts, nil
}

// took is called with mu held.
func (a *Arrivals) took(d time.Duration) {
	if d > a.slowest {
		a.slowest, a.blind = d, a.failed
	}
}

// Failed says why the proxy could not be asked.
func (a *Arrivals) Failed(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failed = err
}

// Trouble is why the proxy could not be asked the last time, and why not just before it showed what took slowest, which may then have come
// earlier; nil where it could. What a proxy did not say is not what it did not know.
func (a *Arrivals) Trouble() (last, slowest error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.failed, a.blind
}

// lastIndex is that of the last version of which it is true, or -1.
func lastIndex(versions []version, is func(version) bool) int {
	for i, v := range slices.Backward(versions) {
		if is(v) {
			return i
		}
	}
	return -1
}

// Summary is the longest time that a version took, how many arrived, and since when the oldest that did not is waited for; zero
// where all did.
func (a *Arrivals) Summary() (slowest time.Duration, arrived int, waiting time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.pending) > 0 {
		waiting = a.pending[0].at
	}
	return a.slowest, a.arrived, waiting
}

// InRotation are the addresses of those that are, sorted.
func InRotation(set []endpoints.Endpoint) []string {
	out := []string{}
	for _, e := range set {
		if e.Health.InRotation() {
			out = append(out, e.Address)
		}
	}
	slices.Sort(out)
	return out
}

// Follow asks a proxy for a cluster's hosts until ctx ends, and tells a. A proxy that can't be asked for a while is asked again.
// That ctx ended is none of the proxy's failures.
func Follow(ctx context.Context, clock clockwork.Clock, p *Proxy, cluster string, a *Arrivals) {
	ticker := clock.NewTicker(PollEvery)
	defer ticker.Stop()
	for {
		switch set, err := p.Hosts(ctx, cluster); {
		case err == nil:
			a.Saw(clock.Now(), set)
		case ctx.Err() == nil:
			a.Failed(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.Chan():
		}
	}
}
