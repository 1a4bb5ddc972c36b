package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
)

// Errors of Watch, wrapped with details.
var (
	// ErrForbidden: a verb is missing in the service account's roles.
	ErrForbidden = errors.New("kubernetes: not allowed")
	// ErrUnreachable: the API server did not answer in time.
	ErrUnreachable = errors.New("kubernetes: no answer from the API server")
)

const (
	// startTimeout bounds the start: a sidecar that is not up yet takes a few seconds.
	startTimeout = 15 * time.Second
	// startRetry is the pause between two tries.
	startRetry = 250 * time.Millisecond
)

// preflight finds out at the start what a reflector would only repeat in a log: that the API server can't be reached, or which
// verb is missing. It tries until ctx ends, but not against a refusal.
func (c *client) preflight(ctx context.Context, s Service) error {
	for _, step := range []struct {
		verb string
		try  func(context.Context) error
	}{{"list", c.tryList}, {"watch", c.tryWatch}} {
		var last error
		err := wait.PollUntilContextCancel(ctx, startRetry, true, func(ctx context.Context) (bool, error) {
			err := step.try(ctx)
			switch {
			case err == nil:
				return true, nil
			case apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err):
				return false, fmt.Errorf("%w to %s: %w; its Role in namespace %s needs apiGroups [discovery.k8s.io], resources [%s], verbs [list, watch]",
					ErrForbidden, step.verb, err, s.Namespace, resource)
			case ctx.Err() == nil || last == nil: // a try that the time cut short says less than the one before
				last = err
			}
			return false, nil
		})
		switch {
		case errors.Is(err, ErrForbidden):
			return err
		case err != nil:
			if last == nil {
				last = err
			}
			return fmt.Errorf("%w to a try to %s %s in namespace %s: %w", ErrUnreachable, step.verb, resource, s.Namespace, last)
		}
	}
	return nil
}
