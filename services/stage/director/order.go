package director

import (
	"context"
	"errors"

	"github.com/smaran-v2/smaran/services/stage/venue"
)

// Order is one thing to do to lanes.
type Order struct {
	Verb venue.Verb
	// Lanes by id; empty: all.
	Lanes []string

	// Backend for venue.Backend.
	Backend string
	// Pods for venue.Scale: how many there are to be.
	Pods int
	// Pod for Kill, Drain, Freeze and Thaw, by name. Empty for Kill: one that is ready, the same in
	// every lane that has it; for Thaw: all.
	Pod string
	// Up for venue.Redis.
	Up bool
	// Calls and Rate, inferences a second over all calls, for venue.Load.
	Calls int
	Rate  float64
	// Dropped for venue.Header.
	Dropped bool
}

// Errors of Do.
var (
	// ErrOrder: the order is not one that can be carried out. The error says what was expected.
	ErrOrder = errors.New("bad order")
	// ErrBusy: the lane is still at an earlier order.
	ErrBusy = errors.New("still at an earlier order")
)

// Doer carries out orders.
type Doer interface {
	// Do begins, and returns the group of the events that it shows in the scene, one a lane, or an error of this package or of venue
	// where it began nothing. What becomes of it is in the scene: each event's finish and error. ctx bounds the beginning alone.
	Do(ctx context.Context, o Order) (group uint32, err error)
}
