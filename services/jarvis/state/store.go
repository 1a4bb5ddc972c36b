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
	// DroppedPassedOver: another pod owns the session under a higher title, and what was answered here since is not part of it.
	DroppedPassedOver Dropped = "passed_over"
	// DroppedTurns: the conversation goes on, or begins, though its caller was further.
	DroppedTurns Dropped = "turns"
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
	// Incarnation is this process's, in the titles that it holds. It may be empty where titles come from one register alone.
	Incarnation string
	// Handed: a conversation comes from whoever had it before, so that one whose caller is further on is an earlier part of the same, and
	// goes on. The turns between are lost, which the reply's turn shows. Otherwise it is taken for another one, and begins anew.
	Handed bool
	Clock  clockwork.Clock
	Model  *model.Model
	// OnDropped is told of every copy that is dropped. It may be nil, must be quick, and must not call the store.
	OnDropped func(session.ID, Dropped)
}

// Store keeps sessions. It is safe for concurrent use.
//
// Idle sessions are dropped when the store is next used or counted, not by a timer: it owns no goroutine, and what lingers
// meanwhile is bounded by Options.Max.
type Store struct {
	max, results int
	idleFor      time.Duration
	incarnation  string
	handed       bool
	clock        clockwork.Clock
	model        *model.Model
	onDropped    func(session.ID, Dropped)

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
		max: o.Max, results: o.Results, idleFor: o.Idle, incarnation: o.Incarnation, handed: o.Handed,
		clock: o.Clock, model: o.Model, onDropped: o.OnDropped,
		sessions: make(map[session.ID]*Session), idle: list.New(),
	}, nil
}

// Max is the most sessions it keeps.
func (s *Store) Max() int { return s.max }

// Hold finds the session, or makes one that is not loaded yet, and keeps it from being dropped until release is called,
// which must happen exactly once. An epoch above 0 is checked and remembered, as by Fence.
//
// Errors match ErrFull or ErrStaleEpoch, or are a *GivingError.
func (s *Store) Hold(id session.ID, epoch uint64) (held *Session, release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	held, ok := s.sessions[id]
	if ok {
		if held.giving != nil {
			return nil, nil, &GivingError{Ended: held.giving.ended}
		}
		if err := held.fence(epoch); err != nil {
			return nil, nil, err
		}
	} else {
		if held, err = s.add(id, anySession); err != nil {
			return nil, nil, err
		}
		held.title.Epoch = epoch
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
	if held, ok := s.sessions[id]; ok && epoch >= held.title.Epoch {
		held.title = Title{Epoch: epoch, Owner: owner}
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
	// Begun is whether its conversation is here, this pod's or a copy; Loading is how long it takes until it can be served.
	Begun   bool
	Loading time.Duration
	// Title is the highest that was seen. Its Owner is empty where no other pod is known to have it.
	Title
}

// Find describes a session, if the store keeps it.
func (s *Store) Find(id session.ID) (Kept, bool) {
	s.mu.Lock()
	held, ok := s.sessions[id]
	if !ok {
		s.mu.Unlock()
		return Kept{}, false
	}
	kept := Kept{ID: id, Title: held.title}
	s.mu.Unlock()
	held.describe(&kept)
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
		kept = append(kept, Kept{ID: held.id, Title: held.title})
	}
	s.mu.Unlock()
	for i, held := range all {
		held.describe(&kept[i])
	}
	slices.SortFunc(kept, func(a, b Kept) int { return cmp.Compare(a.ID, b.ID) })
	return kept
}

// The rest is called with s.mu held, unless it says otherwise.

func (s *Session) fence(epoch uint64) error {
	switch {
	case epoch == 0:
	case epoch < s.title.Epoch:
		return &StaleEpochError{Received: epoch, Known: s.title.Epoch, Owner: s.title.Owner}
	case epoch > s.title.Epoch:
		s.title = s.store.own(epoch)
	}
	return nil
}

// release takes s.mu itself.
func (s *Store) release(held *Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	held.holders--
	if held.holders == 0 && held.giving != nil {
		close(held.giving.settled) // once: nobody holds it anew meanwhile
	}
	s.settle(held)
}

// settle moves the session into or out of the idle list, or forgets one of which there is nothing to know: a call was
// placed or tried, and no more.
func (s *Store) settle(held *Session) {
	switch used := held.pinned || held.holders > 0 || held.giving != nil; {
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

// passOver counts what the pod answered as the owner, as it is part of no conversation any more.
func (s *Store) passOver(held *Session) {
	if held.title.Owner == "" && held.title.Epoch > 0 && !held.bare() {
		held.passedOver = true
		s.dropped(held.id, DroppedPassedOver)
	}
}

// own is this pod's title under an epoch.
func (s *Store) own(epoch uint64) Title { return Title{Epoch: epoch, Incarnation: s.incarnation} }

// add makes a session that is not kept yet, if need be in place of one that it replaces. The caller settles it.
func (s *Store) add(id session.ID, replaces func(*Session) bool) (*Session, error) {
	if err := s.makeRoom(replaces); err != nil {
		return nil, err
	}
	added := &Session{id: id, store: s, stream: s.model.Stream(id), title: s.own(0)}
	s.sessions[id] = added
	return added, nil
}

// makeRoom drops the session longest unused that another may replace.
func (s *Store) makeRoom(replaces func(*Session) bool) error {
	if len(s.sessions) < s.max {
		return nil
	}
	for e := s.idle.Front(); e != nil; e = e.Next() {
		if kept := e.Value.(*Session); replaces(kept) {
			s.drop(kept, DroppedLRU)
			return nil
		}
	}
	return fmt.Errorf("%w: %d", ErrFull, s.max)
}

// anySession and copies are what makeRoom may drop: what somebody asks for replaces any session that is unused, and what nobody asks for now only
// a copy of what another pod owns.
func anySession(*Session) bool  { return true }
func copies(kept *Session) bool { return kept.title.Owner != "" }

func (s *Store) drop(unused *Session, reason Dropped) {
	s.idle.Remove(unused.idle)
	unused.idle = nil
	delete(s.sessions, unused.id)
	s.dropped(unused.id, reason)
}

// dropped needs no lock.
func (s *Store) dropped(id session.ID, reason Dropped) {
	if s.onDropped != nil {
		s.onDropped(id, reason)
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
