package jarvis

import (
	"errors"
	"fmt"

	"github.com/smaran-v2/smaran/services/jarvis/call"
)

var (
	// ErrDraining: the pod is going away and takes no session that it does not hold, and no call. Ask another pod.
	ErrDraining = errors.New("the pod is draining")
	// ErrStarting: the weights are not loaded yet. It is why a pod is not ready; requests wait instead.
	ErrStarting = errors.New("the weights are still being loaded")
	// ErrNoHandoff: the pod hands no sessions over. JARVIS_ENDPOINTS has it do so.
	ErrNoHandoff = errors.New("this pod hands no sessions over")
	// ErrBadRequest: the request can't be understood. The text says what was expected.
	ErrBadRequest = errors.New("bad request")
)

// NotHeldError is a request for a call that this pod does not hold. It matches call.ErrNotHeld.
type NotHeldError struct {
	// Owner is the pod to ask, where it is known, and Address where endpoints list it; Epoch is the highest that this pod has seen.
	Owner, Address string
	Epoch          uint64
}

func (e *NotHeldError) Error() string {
	if e.Owner == "" {
		return fmt.Sprintf("%v; ask the pod that answered the offer, or place a new one", call.ErrNotHeld)
	}
	return fmt.Sprintf("%v; ask %s", call.ErrNotHeld, e.Owner)
}

// Is makes errors.Is work with call.ErrNotHeld.
func (e *NotHeldError) Is(target error) bool { return target == call.ErrNotHeld }
