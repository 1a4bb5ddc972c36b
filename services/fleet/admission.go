package fleet

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"

	preparation "github.com/smaran-v2/smaran/services/admission"
	"github.com/smaran-v2/smaran/services/endpoints"
)

// admission holds pods that are ready back from the endpoints until what they will get is at them. Those that come together are listed
// together, since each change of the ring moves sessions.
type admission struct {
	fleet *Fleet
	http  *http.Transport
	// peers has pods prepare.
	peers preparation.Preparer
	kick  chan struct{}

	mu      sync.Mutex
	waiting []arrival
	// expected are pods that were started together and have not asked yet.
	expected int
}

// arrival is a pod that asked, in the process that it had then.
type arrival struct {
	pod        *pod
	incarnated uint32
}

// present is whether that process is there to take sessions. It says that it is ready a moment after it asked.
func (a arrival) present() bool {
	v := a.pod.look()
	return v.incarnated == a.incarnated && !v.stopping && (v.phase == starting || v.phase == ready)
}

func newAdmission(f *Fleet) *admission {
	transport := &http.Transport{}
	return &admission{fleet: f, http: transport, kick: make(chan struct{}, 1),
		peers: preparation.Preparer{HTTP: &http.Client{Transport: transport}, Clock: f.clock}}
}

// expect announces pods that are about to be started together.
func (a *admission) expect(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.expected += n
}

// ask lists a pod: now, if there is nobody to prepare for it, or once what it will get is there.
func (a *admission) ask(p *pod) {
	l := a.fleet.ledger
	at := arrival{pod: p, incarnated: p.look().incarnated}
	a.mu.Lock()
	if at.incarnated == 1 {
		a.expected = max(0, a.expected-1)
	}
	now := l.lists(p.name) || l.holds() || len(l.inRotation(nil)) == 0
	if !now {
		a.waiting = append(slices.DeleteFunc(a.waiting, func(other arrival) bool { return other.pod == p }), at)
	}
	a.mu.Unlock()
	if now {
		l.join(p.number, p.name, p.at.http)
		return
	}
	select {
	case a.kick <- struct{}{}:
	default: // one is pending
	}
}

// run admits pods until ctx ends.
func (a *admission) run(ctx context.Context) {
	defer a.http.CloseIdleConnections()
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.kick:
		}
		gathering, cancel := preparation.Within(ctx, a.fleet.clock, preparation.MaxGathering)
		_ = a.fleet.board.await(gathering, func() (bool, error) { return a.complete(), nil }) // who is late comes by itself
		cancel()
		a.admit(ctx)
	}
}

func (a *admission) complete() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.expected == 0
}

func (a *admission) admit(ctx context.Context) {
	a.mu.Lock()
	arrivals := a.waiting
	a.waiting, a.expected = nil, 0
	a.mu.Unlock()
	joining := func() (pods []*pod) {
		for _, at := range arrivals {
			if at.present() {
				pods = append(pods, at.pod)
			}
		}
		return pods
	}
	next := joining()
	if len(next) == 0 {
		return
	}
	a.prepare(ctx, a.fleet.ledger.inRotation(next))
	for _, p := range joining() {
		a.fleet.ledger.join(p.number, p.name, p.at.http)
	}
	_ = a.fleet.ledger.flush() // whoever waits for the version learns of it
}

// prepare has every pod in rotation send what the endpoints next give to others.
func (a *admission) prepare(ctx context.Context, next []endpoints.Endpoint) {
	done := a.peers.Prepare(ctx, a.fleet.ledger.inRotation(nil), next)
	for _, failed := range done.Failed {
		a.fleet.notices.add(slog.LevelWarn, fmt.Sprintf("%s did not prepare: %v", failed.Pod, failed.Err))
	}
	a.fleet.notices.add(slog.LevelInfo, done.String())
}

// handsOver is whether pods hand their sessions over.
func (f *Fleet) handsOver() bool { return f.admission != nil }
