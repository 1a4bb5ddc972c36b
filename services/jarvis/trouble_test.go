package jarvis_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"connectrpc.com/connect"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/jarvis/handoff"
	"github.com/smaran-v2/smaran/services/jarvis/internal/history"
)

const (
	fewest, most = 2, 5
	drainTime    = 1500 * time.Millisecond
	prepareTime  = time.Second
)

// act makes trouble. What of it lasts goes on in the background, and ends by itself.
func (e *episode) act(s step) {
	m, other := e.any(s.which), e.any(s.other)
	rng := rand.New(rand.NewPCG(e.storm.seed, uint64(s.which)))
	e.Record(history.Event{Kind: history.Fault, Separates: s.separates(), Note: fmt.Sprintf("%s at %s", s, m.name)})
	switch s.trouble {
	case kill:
		e.kill(s, m, rng)
	case leave:
		e.leave(s, m, rng)
	case join:
		e.join(s, rng)
	case shuffle:
		e.relist(s.prepared, rng, func(l []listing) []listing {
			for i := range l {
				if l[i].mate == m && (l[i].out || inRotation(l) > fewest) {
					l[i].out = !l[i].out
				}
			}
			return l
		})
	case freeze:
		e.freeze(m.address, true)
		e.later(s.lasts, func() { e.freeze(m.address, false) })
	case part:
		e.cutOff(s, m, other)
	case isolate:
		for _, other := range e.pods() {
			e.cutOff(s, m, other)
		}
	case forget:
		e.mu.Lock()
		kept := e.stores[m]
		e.mu.Unlock()
		if kept != nil {
			kept.away.Store(true)
			e.later(s.lasts, func() { kept.away.Store(false) })
		}
	}
}

func (e *episode) later(after time.Duration, do func()) {
	e.work.Go(func() {
		pause(e.Context(), after)
		do()
	})
}

func (e *episode) pods() []*mate {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.live)
}

func (e *episode) cutOff(s step, m, other *mate) {
	for i, w := range []way{{m.address, other.address}, {other.address, m.address}} {
		if s.way == 2 || s.way == i {
			e.part(w, true)
			e.later(s.lasts, func() { e.part(w, false) })
		}
	}
}

func (e *episode) kill(s step, m *mate, rng *rand.Rand) {
	if !e.claim(m) {
		return
	}
	e.end(m, true)
	e.work.Go(func() {
		pause(e.Context(), s.lasts)
		e.refuse(m.address, false)
		again := e.beginAt(m.address, m.name)
		e.mu.Lock()
		for i := range e.listed {
			if e.listed[i].mate == m && again != nil {
				e.listed[i].mate = again
			}
		}
		if again == nil {
			e.listed = slices.DeleteFunc(e.listed, func(l listing) bool { return l.mate == m })
		} else {
			_ = again.rings.Update(endpointsOf(e.listed)) // as everybody's
		}
		e.mu.Unlock()
		e.announce(rng)
	})
}

func (e *episode) leave(s step, m *mate, rng *rand.Rand) {
	if !e.claim(m) {
		return
	}
	e.relist(s.prepared, rng, func(l []listing) []listing {
		for i := range l {
			l[i].out = l[i].out || l[i].mate == m
		}
		return l
	})
	e.work.Go(func() {
		m.Drain(e.Context(), drainTime)
		e.relist(false, rng, func(l []listing) []listing {
			return slices.DeleteFunc(l, func(l listing) bool { return l.mate == m })
		})
		e.end(m, false)
	})
}

func (e *episode) join(s step, rng *rand.Rand) {
	if len(e.pods()) >= most {
		return
	}
	m := e.begin()
	if m == nil {
		return
	}
	e.mu.Lock()
	_ = m.rings.Update(endpointsOf(e.listed)) // it finds what is there, itself not in it
	e.mu.Unlock()
	e.relist(s.prepared, rng, func(l []listing) []listing { return append(l, listing{mate: m}) })
}

// claim is whether a pod may go: it is not going yet, and enough stay.
func (e *episode) claim(m *mate) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	staying, listed := 0, 0
	for _, other := range e.live {
		if !e.going[other] {
			staying++
		}
	}
	for _, l := range e.listed {
		if !l.out && !e.going[l.mate] && l.mate != m {
			listed++
		}
	}
	if e.going[m] || staying <= fewest || listed < fewest {
		return false
	}
	e.going[m] = true
	return true
}

func inRotation(l []listing) int {
	n := 0
	for _, l := range l {
		if !l.out {
			n++
		}
	}
	return n
}

// relist changes the endpoints, after the pods have made ready for it or not.
func (e *episode) relist(prepared bool, rng *rand.Rand, change func([]listing) []listing) {
	if prepared {
		e.mu.Lock()
		next := change(slices.Clone(e.listed))
		e.mu.Unlock()
		e.prepareAll(endpointsOf(next))
	}
	e.mu.Lock()
	e.listed = change(slices.Clone(e.listed))
	e.mu.Unlock()
	e.announce(rng)
}

func (e *episode) prepareAll(next endpoints.Set) {
	ctx, cancel := context.WithTimeout(e.Context(), prepareTime)
	defer cancel()
	hosts := slices.DeleteFunc(slices.Clone(next.Endpoints), func(l endpoints.Endpoint) bool { return !l.Health.InRotation() })
	var all sync.WaitGroup
	c := newAsker(e.network, e.Recorder, "fleet", "", nil)
	for _, m := range e.pods() {
		all.Go(func() {
			_, _ = c.rpc(m).Prepare(ctx, connect.NewRequest(&jarvisv1.PrepareRequest{Hosts: handoff.Hosts(hosts)})) // then it is not ready
		})
	}
	all.Wait()
}
