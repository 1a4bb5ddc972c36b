package state

import (
	"fmt"

	"github.com/smaran-v2/smaran/services/session"
)

// GivingError: the session is being given away. It passes; then the session has another owner, or the same again.
type GivingError struct {
	// Ended is closed when the giving has ended.
	Ended <-chan struct{}
}

func (e *GivingError) Error() string { return "the session is being given to another pod" }

// MovedError: another pod owns the session.
type MovedError struct{ Title }

func (e *MovedError) Error() string {
	return fmt.Sprintf("the session is %s's, under epoch %d", e.Owner, e.Epoch)
}

// Giving is a session on its way to another pod. Whoever began it ends it, by Finish, TakeBack or Cancel, exactly once.
type Giving struct {
	store          *Store
	session        *Session
	settled, ended chan struct{}
}

// Give begins to give a session away: from now on nobody holds it anew, and once Settled it stands still.
//
// Errors: ErrUnknown, a *MovedError, or a *GivingError.
func (s *Store) Give(id session.ID) (*Giving, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	held, ok := s.sessions[id]
	switch {
	case !ok:
		return nil, ErrUnknown
	case held.giving != nil:
		return nil, &GivingError{Ended: held.giving.ended}
	case held.title.Owner != "":
		return nil, &MovedError{held.title}
	}
	held.giving = &Giving{store: s, session: held, settled: make(chan struct{}), ended: make(chan struct{})}
	if held.holders == 0 {
		close(held.giving.settled)
	}
	s.settle(held)
	return held.giving, nil
}

// Session is which one.
func (g *Giving) Session() session.ID { return g.session.id }

// Settled is closed when all who held the session have let go of it.
func (g *Giving) Settled() <-chan struct{} { return g.settled }

// Next is the title that another process will have, and the conversation that goes with it. It is called once Settled, and changes
// nothing.
func (g *Giving) Next(owner, incarnation string) (Title, Snapshot) {
	g.store.mu.Lock()
	defer g.store.mu.Unlock()
	return Title{Epoch: g.session.title.Epoch + 1, Owner: owner, Incarnation: incarnation}, g.session.snapshot()
}

// Finish makes the title the session's. The pod keeps its copy: an answer that got lost on its way can be given again (Snapshot).
func (g *Giving) Finish(title Title) {
	g.store.mu.Lock()
	defer g.store.mu.Unlock()
	g.session.title = title
	g.end()
}

// TakeBack leaves the session with this pod, over a title that may have reached the other process or not.
func (g *Giving) TakeBack(over Title) {
	g.store.mu.Lock()
	defer g.store.mu.Unlock()
	g.session.title = g.store.own(over.Epoch + 1)
	g.end()
}

// Cancel leaves the session with its owner.
func (g *Giving) Cancel() {
	g.store.mu.Lock()
	defer g.store.mu.Unlock()
	g.end()
}

func (g *Giving) end() {
	g.session.giving = nil
	close(g.ended)
	g.store.settle(g.session)
}
