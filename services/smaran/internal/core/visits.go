package core

import (
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
	// owner is the pod that the backend's rule gave the session to then; empty without a rule.
	owner string
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

// answered notes which pod answered a session, and says how that compares with the answer before, and whether the session had to move: by
// the backend's rule, which gave it to another pod then, or, without one, because the pod that answered then is not there any more.
func (v *visits) answered(id session.ID, pod string, b backend.Backend, set endpoints.Set) (r result, expected bool) {
	owner := ""
	rule, ruled := b.(backend.Rule)
	if ruled {
		owner, _ = rule.Owner(id)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.expire()
	before, known := v.last.Get(id)
	if known {
		v.leave(before.pod)
		if ruled {
			expected = owner != before.owner
		} else {
			_, there := set.Lookup(before.pod)
			expected = !there
		}
	}
	v.at[pod]++
	v.last.Add(id, &visit{pod: pod, at: v.clock.Now(), owner: owner})
	switch {
	case !known:
		return first, false
	case before.pod == pod:
		return kept, expected
	}
	return moved, expected
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
