package state

import "errors"

// Title says who owns a session.
type Title struct {
	// Epoch counts the session's owners, from 1; 0 is none yet.
	Epoch uint64
	// Owner is the owning pod's name; empty is this one.
	Owner string
	// Incarnation is the owner's process; empty where it is not known.
	Incarnation string
}

// Above is whether t goes over other: by its epoch, and where both sides of a partition took the same one by the incarnation, so
// that everyone who sees both chooses alike.
func (t Title) Above(other Title) bool {
	if t.Epoch != other.Epoch {
		return t.Epoch > other.Epoch
	}
	return t.Incarnation > other.Incarnation
}

// Errors about who owns a session.
var (
	// ErrUnknown: the pod does not keep the session.
	ErrUnknown = errors.New("the pod does not know the session")
	// ErrReplaced: the conversation was replaced by another pod's copy while the answer was computed.
	ErrReplaced = errors.New("the conversation was replaced while the answer was computed")
	// ErrOwned: the pod owns the session itself, so that a copy of another pod's is of no use.
	ErrOwned = errors.New("the pod owns the session itself")
)
