package state

import (
	"cmp"
	"container/list"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/jonboulle/clockwork"

	"github.com/smaran-v2/smaran/services/jarvis/model"
	"github.com/smaran-v2/smaran/services/session"
)

// Dropped says why a copy of a session's state is gone.
type Dropped string

// The reasons.
const (
	// DroppedLRU: it was the least recently used one when another session needed a place.
	DroppedLRU Dropped = "lru"
	// DroppedIdle: nobody asked for it for Options.Idle.
	DroppedIdle Dropped = "idle"
	// DroppedStale: a caller knew of a conversation that this copy is not part of.
	DroppedStale Dropped = "stale"
)

// Options of a Store.
type Options struct {
	// Max is how many sessions are kept, 1 or more.
	Max int
	// Idle is how long an unused session is kept, above 0.
	Idle time.Duration
	// Results is how many answers a session keeps by prompt, 1 or more; the least recently used one goes.
	Results int
	Clock   clockwork.Clock
	Model   *model.Model
	// OnDropped is told of every copy that is dropped. It may be nil, must be quick, and must not call the store.
	OnDropped func(Dropped)
}

// Store keeps sessions. It is safe for concurrent use.
//
// Idle sessions are dropped when the store is next used or counted, not by a timer: it owns no goroutine, and what lingers
// meanwhile is bounded by Options.Max.
type Store struct {
	max, results int
	idleFor      time.Duration
	clock        clockwork.Clock
	model        *model.Model
	onDropped    func(Dropped)

	mu       sync.Mutex
	sessions map[session.ID]*Session
	// idle holds the sessions nobody uses, the one longest unused first.
	idle *list.List
}

// New refuses options that are out of range.
func New(o Options) (*Store, error) {
	if o.Max < 1 || o.Idle <= 0 || o.Results < 1 {
		return nil, fmt.Errorf("session store of %d sessions idle for %v with %d results each: expected 1 or more, above 0, 1 or more",
			o.Max, o.Idle, o.Results)
	}
	if o.Clock == nil || o.Model == nil {
		return nil, errors.New("session store: expected a clock and a model")
	}
	return &Store{
		max: o.Max, results: o.Results, idleFor: o.Idle,
		clock: o.Clock, model: o.Model, onDropped: o.OnDropped,
		sessions: make(map[session.ID]*Session), idle: list.New(),
	}, nil
}

// Max is the most sessions it keeps.
func (s *Store) Max() int { return s.max }

// Hold finds the session, or makes one that is not loaded yet, and keeps it from being dropped until release is called,
// which must happen exactly once. An epoch above 0 is checked and remembered, as by Fence.
//
// Errors match ErrFull or ErrStaleEpoch.
func (s *Store) Hold(id session.ID, epoch uint64) (held *Session, release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	held, ok := s.sessions[id]
	if ok {
		if err := held.fence(epoch); err != nil {
			return nil, nil, err
		}
	} else {
		if err := s.makeRoom(); err != nil {
			return nil, nil, err
		}
		held = &Session{id: id, store: s, stream: s.model.Stream(id), epoch: epoch}
		s.sessions[id] = held
	}
	held.holders++
	s.settle(held)
	return held, func() { s.release(held) }, nil
}

// Has reports whether the session is kept.
func (s *Store) Has(id session.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	_, ok := s.sessions[id]
	return ok
}

// Fence checks an epoch against the session's, if the pod keeps it: a lower one is a *StaleEpochError, a higher one
// becomes the session's. Zero is not checked.
func (s *Store) Fence(id session.ID, epoch uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if held, ok := s.sessions[id]; ok {
		return held.fence(epoch)
	}
	return nil
}

// Supersede notes that another pod owns the session under an epoch: requests with a lower one are refused and told its
// name. It ends when a request comes with a higher one, which makes this pod the owner again.
func (s *Store) Supersede(id session.ID, owner string, epoch uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if held, ok := s.sessions[id]; ok && epoch >= held.epoch {
		held.epoch, held.owner = epoch, owner
	}
}

// Pin keeps a session from being dropped, whether or not it is held, until it is unpinned. A session that the store does
// not keep can't be pinned: hold it first.
func (s *Store) Pin(id session.ID, pinned bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if held, ok := s.sessions[id]; ok {
		held.pinned = pinned
		s.settle(held)
	}
}

// Len is how many sessions are kept.
func (s *Store) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	return len(s.sessions)
}

// Kept describes one session.
type Kept struct {
	ID session.ID
	At Point
	// Epoch is the highest that was seen, Owner the pod to which it belongs where that is known to be another one.
	Epoch uint64
	Owner string
}

// Find describes a session, if the store keeps it.
func (s *Store) Find(id session.ID) (Kept, bool) {
	s.mu.Lock()
	held, ok := s.sessions[id]
	if !ok {
		s.mu.Unlock()
		return Kept{}, false
	}
	kept := Kept{ID: id, Epoch: held.epoch, Owner: held.owner}
	s.mu.Unlock()
	kept.At = held.Standing()
	return kept, true
}

// List describes every session, by id.
func (s *Store) List() []Kept {
	s.mu.Lock()
	s.expire()
	all := make([]*Session, 0, len(s.sessions))
	kept := make([]Kept, 0, len(s.sessions))
	for _, held := range s.sessions {
		all = append(all, held)
		kept = append(kept, Kept{ID: held.id, Epoch: held.epoch, Owner: held.owner})
	}
	s.mu.Unlock()
	for i, held := range all {
		kept[i].At = held.Standing()
	}
	slices.SortFunc(kept, func(a, b Kept) int { return cmp.Compare(a.ID, b.ID) })
	return kept
}

// The rest is called with s.mu held, unless it says otherwise.

func (s *Session) fence(epoch uint64) error {
	switch {
	case epoch == 0:
	case epoch < s.epoch:
		return &StaleEpochError{Received: epoch, Known: s.epoch, Owner: s.owner}
	case epoch > s.epoch:
		s.epoch, s.owner = epoch, ""
	}
	return nil
}

// release takes s.mu itself.
func (s *Store) release(held *Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	held.holders--
	s.settle(held)
}

// settle moves the session into or out of the idle list, or forgets one of which there is nothing to know: a call was
// placed or tried, and no more.
func (s *Store) settle(held *Session) {
	switch used := held.pinned || held.holders > 0; {
	case used && held.idle != nil:
		s.idle.Remove(held.idle)
		held.idle = nil
	case !used && held.idle == nil && held.blank():
		delete(s.sessions, held.id)
	case !used && held.idle == nil:
		held.since = s.clock.Now()
		held.idle = s.idle.PushBack(held)
	}
}

func (s *Store) expire() {
	now := s.clock.Now()
	for e := s.idle.Front(); e != nil; e = s.idle.Front() {
		oldest := e.Value.(*Session)
		if now.Sub(oldest.since) < s.idleFor {
			return
		}
		s.drop(oldest, DroppedIdle)
	}
}

func (s *Store) makeRoom() error {
	if len(s.sessions) < s.max {
		return nil
	}
	oldest := s.idle.Front()
	if oldest == nil {
		return fmt.Errorf("%w: %d", ErrFull, s.max)
	}
	s.drop(oldest.Value.(*Session), DroppedLRU)
	return nil
}

func (s *Store) drop(unused *Session, reason Dropped) {
	s.idle.Remove(unused.idle)
	unused.idle = nil
	delete(s.sessions, unused.id)
	s.dropped(reason)
}

// dropped needs no lock.
func (s *Store) dropped(reason Dropped) {
	if s.onDropped != nil {
		s.onDropped(reason)
	}
}

// newResults needs no lock.
func (s *Store) newResults() *simplelru.LRU[string, string] {
	results, err := simplelru.NewLRU[string, string](s.results, nil)
	if err != nil {
		panic(err) // unreachable: only for a size below 1, which New refuses
	}
	return results
}
