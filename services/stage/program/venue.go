package program

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/jonboulle/clockwork"

	"github.com/smaran-v2/smaran/proto/fleet/v1/fleetv1connect"
	"github.com/smaran-v2/smaran/services/discovery/kubernetes"
	"github.com/smaran-v2/smaran/services/stage/cluster"
	"github.com/smaran-v2/smaran/services/stage/venue"
)

// open is the venue that the configuration names. left is for when it is of no use any more.
func open(ctx context.Context, c *Config, client *http.Client, clock clockwork.Clock, log *slog.Logger) (place venue.Venue, left func(), err error) {
	if c.Namespace == "" {
		return newElsewhere(c, client), func() {}, nil
	}
	api, err := kubernetes.InCluster()
	if err != nil {
		return nil, nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	f, err := cluster.Open(ctx, cluster.Options{API: api, Namespace: c.Namespace, Controls: c.Controls, Clock: clock, Log: log})
	if err != nil {
		stop()
		return nil, nil, err
	}
	return cluster.NewVenue(f), func() { stop(); <-f.Done() }, nil
}

// elsewhere are fleets that somebody else runs, at addresses that stay.
type elsewhere struct{ lanes []venue.Lane }

func newElsewhere(c *Config, client *http.Client) *elsewhere {
	out := new(elsewhere)
	for _, given := range c.Lanes {
		l := venue.Lane{
			ID: given.ID, Smaran: given.URL, Pods: c.Pods, Relay: c.Relay,
			Verbs:  []venue.Verb{venue.Load, venue.Header},
			Reason: c.Instead,
		}
		if control := c.Fleets.url(given.ID); control != "" {
			// A client's methods are those of a handler.
			l.Fleet = fleetv1connect.NewFleetServiceClient(client, control)
			l.Verbs = append(l.Verbs, venue.Scale, venue.Kill, venue.Drain, venue.Freeze, venue.Thaw, venue.Rollout, venue.Redis, venue.Smaran, venue.Reset)
			l.Reason = notRecast
		}
		out.lanes = append(out.lanes, l)
	}
	return out
}

// Lanes implements venue.Venue.
func (e *elsewhere) Lanes() []venue.Lane { return e.lanes }

const notRecast = "a fleet gets another backend where it was started"

// Recast implements venue.Venue: it is not possible.
func (e *elsewhere) Recast(context.Context, string, string) error {
	return fmt.Errorf("%w: %s", venue.ErrNotHere, notRecast)
}

// shown is a venue that is only looked at.
type shown struct{ venue.Venue }

// Lanes implements venue.Venue.
func (s shown) Lanes() []venue.Lane {
	lanes := append([]venue.Lane(nil), s.Venue.Lanes()...)
	for i := range lanes {
		lanes[i].Verbs, lanes[i].Reason = nil, "this stage only shows: it was started without a token. "+lanes[i].Reason
	}
	return lanes
}
