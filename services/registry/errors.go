package registry

import (
	"context"
	"errors"
	"fmt"
)

// Errors of this package, wrapped with what was asked for.
var (
	// ErrUnavailable: Redis did not answer in time, or not as it should. The cause is wrapped too.
	ErrUnavailable = errors.New("registry: redis did not answer")
	// ErrNoPods: no candidate has a live lease in state ready.
	ErrNoPods = errors.New("registry: no candidate pod is ready")
	// ErrNotFound: the session has no owner.
	ErrNotFound = errors.New("registry: session has no owner")
	// ErrContended: a session's owner changed with each try of one claim. Trying again later helps.
	ErrContended = errors.New("registry: owner kept changing during the claim")
	// ErrSuperseded: a process that started later holds the lease of this pod's name.
	ErrSuperseded = errors.New("registry: another process took over the pod's name")
	// ErrConfig: a constructor was given something it can't work with.
	ErrConfig = errors.New("registry: invalid configuration")
)

// unavailable marks an error of Redis. A caller's own cancellation is passed on as it is, since it says nothing about Redis.
func unavailable(ctx context.Context, what string, err error) error {
	if cause := ctx.Err(); cause != nil && errors.Is(err, cause) {
		return fmt.Errorf("%s: %w", what, err)
	}
	return fmt.Errorf("%s: %w: %w", what, ErrUnavailable, err)
}
