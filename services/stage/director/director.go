package director

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"connectrpc.com/connect"
	"github.com/jonboulle/clockwork"

	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/services/stage/director/crowds"
	"github.com/smaran-v2/smaran/services/stage/director/watch"
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
	lanes   []*lane
	crowds  *crowds.Crowds
	started chan struct{}

	// painting is taken before any lane's lock, and after mu.
	painting sync.Mutex

	mu sync.Mutex
	// spawn begins what Run waits for; nil before and after it.
	spawn                 func(func(context.Context)) context.CancelCauseFunc
	random                *rand.Rand
	groups, events, takes uint32
}

// New looks at nothing yet, but the scene has the lanes from now on. It fails with ErrOrder for a load that can't be ordered.
func New(o Options) (*Director, error) {
	if o.Calls != 0 {
		if err := checkLoad(o.Calls, o.Rate); err != nil {
			return nil, err
		}
	}
	d := &Director{options: o, started: make(chan struct{}), random: rand.New(rand.NewPCG(o.Seed, o.Seed)), takes: 1}
	for _, info := range o.Venue.Lanes() {
		d.lanes = append(d.lanes, newLane(info))
	}
	d.crowds = crowds.New(d.ids(), audience{d}, o.Clock, o.Log)
	for _, l := range d.lanes {
		d.tell(l, func(load *load) {
			load.take, load.waiting = d.takes, true
			if o.Calls > 0 {
				load.calls, load.rate = o.Calls, o.Rate
			}
		})
	}
	d.paint()
	return d, nil
}

// Run watches the fleets, fills the scene and carries out orders until ctx ends. It waits for all that it began. It must be called once.
func (d *Director) Run(ctx context.Context) error {
	var running sync.WaitGroup
	d.open(ctx, &running)
	for _, l := range d.lanes {
		if l.info.Fleet != nil {
			running.Go(func() { watch.Loop(ctx, d.options.Clock, fleetPace, func(ctx context.Context) { d.askFleet(ctx, l) }) })
		}
		running.Go(func() {
			watch.Loop(ctx, d.options.Clock, smaranPace, func(ctx context.Context) { d.askSmaran(ctx, l) })
		})
	}
	ticks := d.options.Clock.NewTicker(scene.Pace) // readers get a frame no more often
	defer ticks.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-ticks.Chan():
			d.openUp()
			d.paint()
		}
	}
	d.close()
	d.crowds.Close()
	running.Wait()
	return context.Cause(ctx)
}

func (d *Director) open(ctx context.Context, running *sync.WaitGroup) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.spawn = func(do func(context.Context)) context.CancelCauseFunc {
		ctx, cancel := context.WithCancelCause(ctx)
		running.Go(func() {
			defer cancel(nil)
			do(ctx)
		})
		return cancel
	}
	close(d.started)
}

func (d *Director) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.spawn = nil
}

// How often is asked. A fleet that is asked answers from memory; a smaran asks its pods.
var (
	fleetPace  = watch.Pace{Every: 150 * time.Millisecond, Timeout: 2 * time.Second, Share: 0.25}
	smaranPace = watch.Pace{Every: 250 * time.Millisecond, Timeout: 4 * time.Second, Share: 0.5}
)

// askFleet waits for whoever asks already, so that what was told last is what is known.
func (d *Director) askFleet(ctx context.Context, l *lane) {
	l.asking.Lock()
	defer l.asking.Unlock()
	ctx, cancel := context.WithTimeout(ctx, fleetPace.Timeout)
	defer cancel()
	status, err := watch.Fleet(ctx, l.info.Fleet)
	l.byFleet(status, err, d.now())
}

func (d *Director) askSmaran(ctx context.Context, l *lane) {
	asked := d.now()
	res, err := watch.Smaran(ctx, d.options.HTTP, l.info.Smaran)
	l.bySmaran(res, err, asked, d.now())
}

// now counts from the opening of the scene.
func (d *Director) now() time.Duration { return d.options.Scene.Since(d.options.Clock.Now()) }

// Attach implements stagev1connect.CrowdServiceHandler. It needs HTTP/2, as every stream that goes both ways at once does.
func (d *Director) Attach(ctx context.Context, s *connect.BidiStream[stagev1.AttachRequest, stagev1.AttachResponse]) error {
	return d.crowds.Attach(ctx, s)
}

// audience hands what crowds tell to their lanes.
type audience struct{ d *Director }

func (a audience) Attached(lane string, attached bool) {
	a.d.lane(lane).crowdCame(attached, a.d.now())
}

func (a audience) Observed(lane string, o *stagev1.Observations) {
	a.d.lane(lane).observed(o, a.d.now())
}

// lane of an id that there is.
func (d *Director) lane(id string) *lane {
	return d.lanes[slices.IndexFunc(d.lanes, func(l *lane) bool { return l.info.ID == id })]
}
