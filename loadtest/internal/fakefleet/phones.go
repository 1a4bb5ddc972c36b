package fakefleet

import (
	"context"
	"errors"
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
	// sounding counts the lines that something comes on.
	sounding int
	// silent is since when nothing came; zero while something does, and before the first.
	silent time.Time
}

// ErrNoMedia is what Dial fails with where the pod dies before the first packet, or the agent is not to be heard.
var ErrNoMedia = errors.New("no media")

// Dial implements client.Phone.
func (h *handset) Dial(ctx context.Context, offer client.Offer) (client.Line, error) {
	start := time.Now()
	o, err := offer(ctx, "v=0\r\n")
	if err != nil {
		return nil, err
	}
	l := &line{handset: h, end: h.fleet.ender(o), over: h.fleet.over(o), gone: h.fleet.gone(o.Pod), lost: make(chan struct{}), closed: make(chan struct{})}
	timer := time.NewTimer(Setup)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.gone:
		return nil, ErrNoMedia
	case <-ctx.Done():
		l.end()
		return nil, ctx.Err()
	}
	if !h.fleet.claim(o) {
		return nil, ErrNoMedia
	}
	l.setup = time.Since(start)
	h.heard()
	l.watch.Go(l.run)
	return l, nil
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

// heard is a line on which the agent begins. Between two that change places in no time there is no gap.
func (h *handset) heard() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sounding++
	if h.silent.IsZero() {
		return
	}
	if d := time.Since(h.silent); d > 0 && h.ear != nil {
		h.ear(peer.Gap{Start: h.silent, Duration: d, Redial: true})
	}
	h.silent = time.Time{}
}

// hush is one on which it ends.
func (h *handset) hush() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sounding--; h.sounding == 0 {
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
	over    <-chan struct{}
	gone    <-chan struct{}
	setup   time.Duration
	lost    chan struct{}
	closed  chan struct{}
	once    sync.Once
	watch   sync.WaitGroup
}

// run loses the line a watchdog's time after its pod, or after the agent went silent because the call ended there.
func (l *line) run() {
	select {
	case <-l.closed:
	case <-l.gone:
	case <-l.over:
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
	return nil
}
