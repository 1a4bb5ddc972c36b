package client

import (
	"context"
	"sync"
)

// placed is one call from its first packet to its end.
type placed struct {
	offered Offered
	line    Line
	// endFollow ends the goroutine on the event stream; followed is closed when it has.
	endFollow context.CancelFunc
	followed  chan struct{}

	mu sync.Mutex
	// need is set once: why the caller must redial.
	need *need
	// needed is closed with it.
	needed chan struct{}
	// stateLost keeps what may count only once a call.
	stateLost bool
}

// need is a reason to redial.
type need struct {
	// lostPod is the pod's name after a loss, empty after a misroute.
	lostPod string
	why     string
}

func newPlaced(o Offered, l Line) *placed {
	return &placed{offered: o, line: l, followed: make(chan struct{}), needed: make(chan struct{})}
}

// ask says that the caller must redial. Only the first reason counts.
func (p *placed) ask(n need) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.need == nil {
		p.need = &n
		close(p.needed)
	}
}

// lost says that the call is over or about to be: its media is lost, or the caller must redial.
func (p *placed) lost() bool {
	select {
	case <-p.line.Lost():
		return true
	case <-p.needed:
		return true
	default:
		return false
	}
}

// firstStateLoss is true once.
func (p *placed) firstStateLoss() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	first := !p.stateLost
	p.stateLost = true
	return first
}

// wait returns the reason to redial, or false when ctx ends first.
func (p *placed) wait(ctx context.Context) (need, bool) {
	select {
	case <-ctx.Done():
		return need{}, false
	case <-p.line.Lost():
		p.ask(need{lostPod: p.offered.Pod, why: "media lost"})
	case <-p.needed:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return *p.need, true
}
