package cluster

import (
	"context"
	"fmt"

	"github.com/smaran-v2/smaran/services/stage/venue"
)

// laneID is that of the one lane there is.
const laneID = "a"

// Venue is a namespace's fleet, as a stage sees it.
type Venue struct{ fleet *Fleet }

var _ venue.Venue = (*Venue)(nil)

// NewVenue is the venue of a fleet.
func NewVenue(f *Fleet) *Venue { return &Venue{fleet: f} }

// Lanes is one: a namespace has one fleet.
func (v *Venue) Lanes() []venue.Lane {
	lane := venue.Lane{
		ID: laneID, Smaran: smaranURL, Fleet: v.fleet, Pods: v.fleet.initial, Relay: true,
		Verbs: []venue.Verb{venue.Load, venue.Header}, Reason: off,
	}
	if v.fleet.options.Controls {
		lane.Verbs = append(lane.Verbs, venue.Scale, venue.Kill, venue.Drain, venue.Rollout, venue.Redis, venue.Smaran, venue.Reset)
		lane.Reason = "a backend is an overlay: kubectl apply -k deploy/overlays/NAME; and " + onTheNode
	}
	return []venue.Lane{lane}
}

// Recast implements venue.Venue: it is not possible.
func (v *Venue) Recast(_ context.Context, lane, backend string) error {
	if lane != laneID {
		return fmt.Errorf("%w lane %q: there is %s", venue.ErrUnknown, lane, laneID)
	}
	return fmt.Errorf("%w: a backend is an overlay: kubectl apply -k deploy/overlays/%s", venue.ErrNotHere, backend)
}
