package state

import (
	"slices"
	"time"

	"github.com/smaran-v2/smaran/services/session"
)

// Snapshot copies a session's conversation, with its title.
//
// It fails with ErrUnknown.
func (s *Store) Snapshot(id session.ID) (Snapshot, Title, error) {
	s.mu.Lock()
	held, ok := s.sessions[id]
	if !ok {
		s.mu.Unlock()
		return Snapshot{}, Title{}, ErrUnknown
	}
	title := held.title
	s.mu.Unlock()
	return held.snapshot(), title, nil
}

// HoldOwned is Hold for who has made sure that this pod owns the session.
//
// Errors: ErrUnknown or a *MovedError where that is not so any more, or a *GivingError.
func (s *Store) HoldOwned(id session.ID) (held *Session, release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	held, ok := s.sessions[id]
	switch {
	case !ok || held.title.Epoch == 0:
		return nil, nil, ErrUnknown
	case held.giving != nil:
		return nil, nil, &GivingError{Ended: held.giving.ended}
	case held.title.Owner != "":
		return nil, nil, &MovedError{held.title}
	}
	held.holders++
	s.settle(held)
	return held, func() { s.release(held) }, nil
}

// Adopt keeps a copy of a conversation that another pod owns, and returns how long it takes until the session can be served from it.
// A copy that is no newer than what is here changes nothing, so that it may be sent twice. Only another copy makes room for it, the one
// longest unused.
//
// Errors: ErrStaleEpoch where a higher title is known, ErrOwned where the title is this pod's own, ErrFull, or a *GivingError.
func (s *Store) Adopt(id session.ID, snap Snapshot, owner Title) (time.Duration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	held, ok := s.sessions[id]
	switch {
	case !ok:
		var err error
		if held, err = s.add(id, copies); err != nil {
			return 0, err
		}
	case held.giving != nil:
		return 0, &GivingError{Ended: held.giving.ended}
	case held.title.Above(owner):
		return 0, &StaleEpochError{Received: owner.Epoch, Known: held.title.Epoch, Owner: held.title.Owner}
	case held.title.Owner == "" && !owner.Above(held.title):
		return 0, ErrOwned
	}
	now := s.clock.Now()
	if owner.Above(held.title) {
		s.passOver(held)
	}
	if owner.Above(held.title) || held.passedOver || held.behind(snap.At.Turn) {
		held.restore(snap, now)
	}
	held.title = owner
	s.settle(held)
	return held.loading(now), nil
}

// GiveWay notes that another pod owns the session under a title above this pod's. Of what was answered here since, nothing is part of the
// conversation: the next copy of that replaces it, wherever it stands.
func (s *Store) GiveWay(id session.ID, owner Title) {
	s.mu.Lock()
	defer s.mu.Unlock()
	held, ok := s.sessions[id]
	if !ok || !owner.Above(held.title) {
		return
	}
	s.passOver(held)
	held.title = owner
}

// Knows is whether a caller may stand at a point of the session's conversation here.
func (s *Store) Knows(id session.ID, at Point) bool {
	s.mu.Lock()
	held, ok := s.sessions[id]
	s.mu.Unlock()
	return ok && held.knows(at)
}

// Own makes this pod the owner under an epoch that the former owner granted, with the conversation as it left that one; nil: as the
// copy here has it. What this pod answered itself, if it was an owner too, and is not part of that, is counted as passed over. It returns
// how long it takes until the session can be served. A pod that has the title already keeps what it has.
//
// Errors: ErrStaleEpoch where a higher title is known by now, ErrUnknown where there is no copy to go on with, ErrFull, or a *GivingError.
func (s *Store) Own(id session.ID, epoch uint64, snap *Snapshot) (time.Duration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.takeOver(id, epoch, snap, anySession)
}

// Inherit is Own of a session that nobody asks for now, its owner leaves: it takes the place of a copy, and not of what this pod owns.
func (s *Store) Inherit(id session.ID, epoch uint64, snap *Snapshot) (time.Duration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.takeOver(id, epoch, snap, copies)
}

// takeOver is called with s.mu held.
func (s *Store) takeOver(id session.ID, epoch uint64, snap *Snapshot, replaces func(*Session) bool) (time.Duration, error) {
	s.expire()
	held, ok := s.sessions[id]
	now := s.clock.Now()
	switch {
	case snap == nil && (!ok || held.bare()):
		return 0, ErrUnknown
	case !ok:
		var err error
		if held, err = s.add(id, replaces); err != nil {
			return 0, err
		}
	case held.giving != nil:
		return 0, &GivingError{Ended: held.giving.ended}
	case held.title.Above(s.own(epoch)):
		return 0, &StaleEpochError{Received: epoch, Known: held.title.Epoch, Owner: held.title.Owner}
	case held.title == s.own(epoch):
		return held.loading(now), nil
	}
	if snap != nil {
		if !slices.Contains(snap.Recent, held.at()) { // it had gone on from somewhere else
			s.passOver(held)
		}
		held.restore(*snap, now)
	}
	held.title = s.own(epoch)
	s.settle(held)
	return held.loading(now), nil
}

// Mint makes this pod the owner on nobody's word but its own: of a new session, or of one whose owner can't be reached. The epoch
// is one above the highest that is known here and above seen, which the caller knows of. A pod that owns the session under a title
// above seen keeps that.
//
// Errors: ErrFull, or a *GivingError.
func (s *Store) Mint(id session.ID, seen uint64) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	held, ok := s.sessions[id]
	switch {
	case !ok:
		var err error
		if held, err = s.add(id, anySession); err != nil {
			return 0, err
		}
	case held.giving != nil:
		return 0, &GivingError{Ended: held.giving.ended}
	case held.title.Owner == "" && held.title.Epoch > 0 && held.title.Epoch >= seen:
		return held.title.Epoch, nil
	}
	held.title = s.own(max(held.title.Epoch, seen) + 1)
	s.settle(held)
	return held.title.Epoch, nil
}
