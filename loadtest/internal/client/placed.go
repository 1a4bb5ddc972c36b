package client

import (
	"context"
	"net/http"
	"sync"

	"github.com/smaran-v2/smaran/services/wire"
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
	// moves holds the latest place to move to, if the caller has not looked at it.
	moves chan migration
	// stateLost keeps what may count only once a call.
	stateLost bool
}

// need is a reason to redial.
type need struct {
	// lostPod is the pod's name after a loss, empty after a misroute.
	lostPod string
	why     string
}

// header names the lost pod in an offer. It is called on nil too, for a first call.
func (n *need) header() http.Header {
	if n == nil || n.lostPod == "" {
		return nil
	}
	return http.Header{wire.HeaderLostPod: {n.lostPod}}
}

// migration is a pod to move to, while the call is up.
type migration struct{ pod, token string }

func newPlaced(o Offered, l Line) *placed {
	return &placed{offered: o, line: l, followed: make(chan struct{}), needed: make(chan struct{}), moves: make(chan migration, 1)}
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

// move says where the call is to move. Only the latest counts.
func (p *placed) move(to migration) {
	for {
		select {
		case p.moves <- to:
			return
		default:
		}
		select {
		case <-p.moves: // an earlier one that nobody has looked at
		default:
		}
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

// wait returns the reason to redial, or where to move, or false when ctx ends first.
func (p *placed) wait(ctx context.Context) (why *need, to *migration, ok bool) {
	select {
	case <-ctx.Done():
		return nil, nil, false
	case to := <-p.moves:
		if !p.lost() { // a call that is gone does not move
			return nil, &to, true
		}
		p.ask(need{lostPod: p.offered.Pod, why: "media lost"})
	case <-p.line.Lost():
		p.ask(need{lostPod: p.offered.Pod, why: "media lost"})
	case <-p.needed:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.need, nil, true
}
