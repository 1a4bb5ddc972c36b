package director

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"

	"github.com/smaran-v2/smaran/services/stage/venue"
)

// orderTime bounds what is done to one lane. A roll-out of fifty pods that drain takes minutes.
const orderTime = 15 * time.Minute

// errReset ends what a reset interrupts.
var errReset = errors.New("given up for a reset")

// job is what is being done to a lane, one at a time. Orders to its crowd are none: they take no time.
type job struct {
	verb   venue.Verb
	cancel context.CancelCauseFunc
	ended  chan struct{}
}

// group is what is done to several lanes at once.
type group struct {
	lanes int
	left  atomic.Int32
	// take is the crowds' from now on, where they begin anew.
	take uint32
	// complete is closed when the last lane is done.
	complete chan struct{}
}

// Do implements Doer. Before Run, it waits for it. It fails with ErrClosed after Run has ended.
func (d *Director) Do(ctx context.Context, o Order) (uint32, error) {
	select {
	case <-d.started:
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	id, err := d.do(o)
	if err == nil {
		d.paint()
	}
	return id, err
}

func (d *Director) do(o Order) (uint32, error) {
	if err := o.check(); err != nil {
		return 0, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.spawn == nil {
		return 0, ErrClosed
	}
	lanes, err := d.lanesOf(o)
	if err != nil {
		return 0, err
	}
	if lanes, err = atPods(lanes, o); err != nil {
		return 0, err
	}
	for _, l := range lanes {
		if err := l.refuse(o); err != nil {
			return 0, err
		}
	}
	d.groups++
	g := &group{lanes: len(lanes), complete: make(chan struct{})}
	g.left.Store(int32(len(lanes)))
	if alone(o.Verb) {
		d.takes++
		g.take = d.takes
	}
	name, started := o.name(), d.now()
	if o.Verb == venue.Kill && o.Pod == "" {
		o.Pod = d.victim(lanes)
	}
	for _, l := range lanes {
		d.events++
		d.start(l, o, &event{id: d.events, group: d.groups, name: name, pod: o.Pod, backend: o.Backend, started: started}, g)
	}
	return d.groups, nil
}

// start begins an order in one lane.
func (d *Director) start(l *lane, o Order, e *event, g *group) {
	l.begin(e)
	if byCrowd(o.Verb) {
		d.tell(l, func(load *load) {
			if o.Verb == venue.Header {
				load.headerless = o.Dropped
			} else {
				load.calls, load.rate = o.Calls, o.Rate
			}
		})
		l.finish(e, "", nil, d.now())
		return
	}
	earlier := l.job
	j := &job{verb: o.Verb, ended: make(chan struct{})}
	l.job = j
	j.cancel = d.spawn(func(ctx context.Context) {
		defer d.endJob(l, j)
		if earlier != nil {
			earlier.cancel(errReset)
			<-earlier.ended
		}
		ctx, cancel := context.WithTimeout(ctx, orderTime)
		defer cancel()
		d.carryOut(ctx, l, o, e, g)
	})
}

func (d *Director) endJob(l *lane, j *job) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if l.job == j {
		l.job = nil
	}
	close(j.ended)
}

// carryOut does an order to one lane, and shows what became of it.
func (d *Director) carryOut(ctx context.Context, l *lane, o Order, e *event, g *group) {
	switch o.Verb {
	case venue.Backend:
		d.recast(ctx, l, o.Backend, e, g)
	case venue.Reset:
		d.reset(ctx, l, e, g)
	default:
		d.askFleet(ctx, l)
		l.unchanged(e)
		pod, err := steer(ctx, l.info.Fleet, o)
		d.finish(ctx, l, e, pod, err)
	}
	d.paint()
}

// finish shows how an event ended, with the endpoints that it left.
func (d *Director) finish(ctx context.Context, l *lane, e *event, pod string, err error) {
	if err != nil {
		d.options.Log.Warn("an order failed", "lane", l.info.ID, "order", e.name, "error", err)
	}
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	finished := d.now()
	if l.info.Fleet != nil && ctx.Err() == nil {
		d.askFleet(ctx, l)
	}
	l.finish(e, pod, err, finished)
}

// words are for people: of what a control API says, its message without its code.
func words(err error) string {
	if c, ok := errors.AsType[*connect.Error](err); ok {
		return c.Message()
	}
	return err.Error()
}
