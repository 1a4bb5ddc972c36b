package core

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/jonboulle/clockwork"

	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/smaran/backend"
)

const (
	// maxVisits bounds the sessions that are remembered, visitTime how long after a session's last answer it is.
	maxVisits = 1 << 16
	visitTime = 10 * time.Minute
)

// result is a label of smaran_session_requests_total.
type result string

const (
	// first is a session's first answer, as far as this process remembers; kept came from the pod that gave the one before, moved from another.
	first result = "first"
	kept  result = "kept"
	moved result = "moved"
)

// visits remembers which pod answered each session last, for the metrics alone: no request goes anywhere because of it, and nothing is
// lost with the process.
type visits struct {
	clock clockwork.Clock

	mu sync.Mutex
	// last has the least recently answered session first.
	last *simplelru.LRU[session.ID, *visit]
	// at counts the sessions of last by pod.
	at map[string]int
}

// visit is a session's last answer.
type visit struct {
	pod string
	at  time.Time
	// leaving: the endpoints give the session to another pod since.
	leaving bool
}

func newVisits(clock clockwork.Clock) (*visits, error) {
	v := &visits{clock: clock, at: map[string]int{}}
	last, err := simplelru.NewLRU(maxVisits, func(_ session.ID, gone *visit) { v.leave(gone.pod) })
	if err != nil {
		return nil, fmt.Errorf("record of answers: %w", err)
	}
	v.last = last
	return v, nil
}

func (v *visits) leave(pod string) {
	if v.at[pod]--; v.at[pod] == 0 {
		delete(v.at, pod)
	}
}

// answered notes which pod answered a session, and says how that compares with the answer before.
func (v *visits) answered(id session.ID, pod string) result {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.expire()
	before, known := v.last.Get(id)
	if known {
		v.leave(before.pod)
	}
	v.at[pod]++
	v.last.Add(id, &visit{pod: pod, at: v.clock.Now()})
	switch {
	case !known:
		return first
	case before.pod == pod:
		return kept
	}
	return moved
}

// ended forgets a session that was hung up.
func (v *visits) ended(id session.ID) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.last.Remove(id)
}

func (v *visits) expire() {
	for {
		_, oldest, ok := v.last.GetOldest()
		if !ok || v.clock.Since(oldest.at) < visitTime {
			return
		}
		v.last.RemoveOldest()
	}
}

// count is how many sessions are remembered, and for how many of them the pod is not among the endpoints.
func (v *visits) count(set endpoints.Set) (sessions, ownerless int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.expire()
	for pod, n := range v.at {
		if _, there := set.Lookup(pod); !there {
			ownerless += n
		}
	}
	return v.last.Len(), ownerless
}

// depart is how many sessions go to other pods once the endpoints are as they are now. A session counts once until its next answer. Under a
// rule those go that it gives to another pod; without one, those whose pod is not there any more.
func (v *visits) depart(set endpoints.Set, b backend.Backend) int {
	v.mu.Lock()
	v.expire()
	ids := v.last.Keys()
	v.mu.Unlock()
	rule, ruled := b.(backend.Rule)
	departing := 0
	for _, id := range ids { // a request waits for one session at most, not for all of them
		owner, known := "", false
		if ruled {
			owner, known = rule.Owner(id)
		}
		v.mu.Lock()
		if at, ok := v.last.Peek(id); ok && !at.leaving {
			if _, there := set.Lookup(at.pod); known && owner != at.pod || !there {
				departing++
				at.leaving = true
			}
		}
		v.mu.Unlock()
	}
	return departing
}

// Follow counts the sessions that a change of the endpoints moves, until ctx ends. Changed is closed at each change.
func (s *Service) Follow(ctx context.Context, changed func() <-chan struct{}) {
	b, err := s.options.Backends.Get(s.options.Backend)
	if err != nil {
		return // New has looked
	}
	for {
		next := changed()
		if n := s.visits.depart(s.options.Endpoints.Current(), b); n > 0 {
			s.metrics.expected.WithLabelValues(string(s.options.Backend)).Add(float64(n))
		}
		select {
		case <-next:
		case <-ctx.Done():
			return
		}
	}
}
