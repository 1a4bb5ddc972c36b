package fakefleet

import (
	"context"
	"errors"
	"path"
	"sync"
	"time"

	"github.com/smaran-v2/smaran/loadtest/internal/client"
	"github.com/smaran-v2/smaran/loadtest/internal/engine"
	"github.com/smaran-v2/smaran/loadtest/internal/peer"
)

// Setup is how long a fake call takes to be up once it is answered, and Watchdog after how long its loss is seen.
const (
	Setup    = 20 * time.Millisecond
	Watchdog = 100 * time.Millisecond
)

// Phones make calls to a fleet's pods without any media: a gap is from a pod's death, or the end of a call, to the next call's
// first packet.
type Phones struct {
	Fleet *Fleet
	// Reported is what Lag says.
	Reported peer.Lag
}

// Handset implements engine.Switchboard.
func (p *Phones) Handset(_ uint64, _ time.Duration, ear engine.Ear) engine.Handset {
	return &handset{fleet: p.Fleet, ear: ear}
}

// Lag implements engine.Switchboard.
func (p *Phones) Lag() peer.Lag { return p.Reported }

// ResetLag implements engine.Switchboard.
func (*Phones) ResetLag() {}

type handset struct {
	fleet *Fleet
	ear   engine.Ear

	mu sync.Mutex
	// silent is since when nothing came; zero while something does.
	silent time.Time
}

// ErrNoMedia is what Dial fails with where the pod dies before the first packet.
var ErrNoMedia = errors.New("no media")

// Dial implements client.Phone.
func (h *handset) Dial(ctx context.Context, offer client.Offer) (client.Line, error) {
	start := time.Now()
	o, err := offer(ctx, "v=0\r\n")
	if err != nil {
		return nil, err
	}
	gone := h.fleet.gone(o.Pod)
	timer := time.NewTimer(Setup)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-gone:
		return nil, ErrNoMedia
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	h.heard()
	l := &line{handset: h, end: h.fleet.ender(o), setup: time.Since(start), lost: make(chan struct{}), closed: make(chan struct{})}
	l.watch.Go(func() { l.run(gone) })
	return l, nil
}

// ender ends the call that was placed, unless another has taken its place.
func (f *Fleet) ender(o client.Offered) func() {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := path.Base(o.Location)
	for _, p := range f.pods {
		if call := p.calls[id]; p.name == o.Pod && call != nil {
			return func() {
				f.mu.Lock()
				defer f.mu.Unlock()
				if p.calls[id] == call {
					p.end(id)
				}
			}
		}
	}
	return func() {}
}

// gone is closed when the pod of that name dies.
func (f *Fleet) gone(name string) <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.pods {
		if p.name == name {
			return p.gone
		}
	}
	closed := make(chan struct{})
	close(closed)
	return closed
}

func (h *handset) heard() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.silent.IsZero() && h.ear != nil {
		h.ear(peer.Gap{Start: h.silent, Duration: time.Since(h.silent), Redial: true})
	}
	h.silent = time.Time{}
}

func (h *handset) hush() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.silent.IsZero() {
		h.silent = time.Now()
	}
}

// Finish implements engine.Handset.
func (h *handset) Finish() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.silent.IsZero() && h.ear != nil {
		h.ear(peer.Gap{Start: h.silent, Duration: time.Since(h.silent), Open: true})
	}
}

type line struct {
	handset *handset
	end     func()
	setup   time.Duration
	lost    chan struct{}
	closed  chan struct{}
	once    sync.Once
	watch   sync.WaitGroup
}

// run loses the line a watchdog's time after its pod.
func (l *line) run(gone <-chan struct{}) {
	select {
	case <-l.closed:
		return
	case <-gone:
	}
	l.handset.hush()
	timer := time.NewTimer(Watchdog)
	defer timer.Stop()
	select {
	case <-l.closed:
	case <-timer.C:
		close(l.lost)
	}
}

func (l *line) Lost() <-chan struct{}    { return l.lost }
func (l *line) SetupTime() time.Duration { return l.setup }
func (l *line) LateCandidate() string    { return "a=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\n" }

func (l *line) Close() error {
	l.once.Do(func() { close(l.closed) })
	l.watch.Wait()
	l.end()
	l.handset.hush()
	return nil
}
