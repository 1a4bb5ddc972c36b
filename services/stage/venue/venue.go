// Package venue is what a stage needs of the place where its fleets run: this machine, compose, or a cluster. It holds no fleet itself.
package venue

import (
	"context"
	"errors"

	"github.com/smaran-v2/smaran/proto/fleet/v1/fleetv1connect"
)

// Errors of a Venue.
var (
	// ErrNotHere: the place has no such thing, or the stage may not do it here. The error says why.
	ErrNotHere = errors.New("not possible here")
	// ErrUnknown: there is no such lane, or no such backend. The error says which there are.
	ErrUnknown = errors.New("unknown")
)

// Venue runs the fleets, one a lane. It is safe for concurrent use.
type Venue interface {
	// Lanes are fixed, and never none.
	Lanes() []Lane
	// Recast replaces a lane's fleet by one with another backend, of as many pods as the venue began with, and returns when it is up. The
	// lane's Smaran stays. It fails with ErrUnknown or ErrNotHere; the lane then has the fleet that it had, or none where the error
	// says so.
	Recast(ctx context.Context, lane, backend string) error
}

// Lane is one fleet.
type Lane struct {
	// ID is a, b, …
	ID string
	// Smaran is the base URL of its public API. A crowd calls it too, unless it was given another.
	Smaran string
	// Fleet steers the fleet that the lane has now; it stays the same over Recast. Nil: the lane can only be looked at.
	Fleet fleetv1connect.FleetServiceHandler
	// Verbs that can be done to it, of Scale and the other constants; Reason says why the others can't.
	Verbs  []Verb
	Reason string
	// Backends that Recast takes.
	Backends []string
	// Pods that it begins with, and returns to on a reset.
	Pods int
	// Relay: a browser reaches its pods through the relay only.
	Relay bool
}

// Verb is something that can be done to a lane, by the name that it has in the control API.
type Verb string

// The verbs.
const (
	Backend Verb = "backend"
	Scale   Verb = "scale"
	Kill    Verb = "kill"
	Drain   Verb = "drain"
	Freeze  Verb = "freeze"
	Thaw    Verb = "thaw"
	Rollout Verb = "rollout"
	Redis   Verb = "redis"
	// Smaran kills the coordinator.
	Smaran Verb = "smaran"
	// Load and Header are done by the lane's crowd, and possible where there is one.
	Load   Verb = "load"
	Header Verb = "header"
	// Reset undoes everything, and begins counting anew.
	Reset Verb = "reset"
)
