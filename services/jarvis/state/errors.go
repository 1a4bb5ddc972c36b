package state

import (
	"errors"
	"fmt"
)

// ErrFull is returned when a new session would need the place of one that is in use, or a copy that of one which this pod owns. The first
// passes as soon as a request or a call ends.
var ErrFull = errors.New("this pod keeps as many sessions as it may")

// ErrStaleEpoch is matched by every *StaleEpochError.
var ErrStaleEpoch = errors.New("the request's epoch is older than the pod's")

// StaleEpochError is a request from a session's former owner, or for one.
type StaleEpochError struct {
	Received, Known uint64
	// Owner is the pod under Known, where this one was told.
	Owner string
}

func (e *StaleEpochError) Error() string {
	return fmt.Sprintf("%v: received %d, known %d; ask for the session's owner again", ErrStaleEpoch, e.Received, e.Known)
}

// Is makes errors.Is work with ErrStaleEpoch.
func (e *StaleEpochError) Is(target error) bool { return target == ErrStaleEpoch }
