package director

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"connectrpc.com/connect"
	"github.com/jonboulle/clockwork"

	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/services/stage/scene"
	"github.com/smaran-v2/smaran/services/stage/venue"
)

// ErrClosed: the director has ended, or is about to.
var ErrClosed = errors.New("the stage is closed")

// PathSmaran is followed by a lane's id: the path of the stage's own origin under which the lane's smaran is reached.
const PathSmaran = "/smaran/"

// Options of a director. All are needed but Calls and Rate.
type Options struct {
	Venue venue.Venue
	Scene *scene.Scene
	Clock clockwork.Clock
	Log   *slog.Logger
	// HTTP asks each lane's smaran.
	HTTP *http.Client
	// Seed of what the crowds do, and of which pod is killed where an order names none and is for several lanes.
	Seed uint64
	// Calls and Rate are the load that crowds begin with, and return to on a reset, as in an Order. 0 calls: crowds wait for an order.
	Calls int
	Rate  float64
}

// Director is a Doer, and the stage's end of the crowds' streams (stagev1connect.CrowdServiceHandler). It is safe for concurrent use.
type Director struct {
	options Options
}

// New looks at nothing yet, but the scene has the lanes from now on. It fails with ErrOrder for a load that can't be ordered.
func New(o Options) (*Director, error) {
	if o.Calls < 0 || o.Rate < 0 {
		return nil, fmt.Errorf("%w: load of %d calls at %g a second", ErrOrder, o.Calls, o.Rate)
	}
	return &Director{options: o}, nil
}

// Run watches the fleets, fills the scene and carries out orders until ctx ends. It waits for all that it began. It must be called once.
func (d *Director) Run(ctx context.Context) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

// Do implements Doer. Before Run, it waits for it. It fails with ErrClosed after Run has ended.
func (d *Director) Do(context.Context, Order) (uint32, error) {
	return 0, ErrClosed
}

// Attach implements stagev1connect.CrowdServiceHandler. It needs HTTP/2, as every stream that goes both ways at once does.
func (d *Director) Attach(context.Context, *connect.BidiStream[stagev1.AttachRequest, stagev1.AttachResponse]) error {
	return connect.NewError(connect.CodeUnavailable, ErrClosed)
}
