package director

import (
	"context"
	"errors"
	"slices"

	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/services/stage/scene"
	"github.com/smaran-v2/smaran/services/stage/venue"
)

// recast gives a lane another backend. Its callers hang up before, and start anew after, all lanes of the group at the same time.
func (d *Director) recast(ctx context.Context, l *lane, backend string, e *event, g *group) {
	d.quiet(l, g.take, false)
	d.startAnew(l, e)
	l.setCasting("its fleet is being started with " + backend)
	d.paint()
	err := d.options.Venue.Recast(ctx, l.info.ID, backend)
	l.setCasting("")
	d.finish(ctx, l, e, "", err)
	d.paint()
	g.arrive(func() {})
	d.resume(ctx, l, g)
}

// reset undoes what was done to a lane, but for its backend. Once that is so in all lanes of the group, everything begins anew.
func (d *Director) reset(ctx context.Context, l *lane, e *event, g *group) {
	d.quiet(l, g.take, true)
	d.paint()
	d.finish(ctx, l, e, "", d.undo(ctx, l))
	d.startAnew(l, e)
	g.arrive(func() {
		if g.lanes == len(d.lanes) {
			d.clear()
		}
	})
	d.resume(ctx, l, g)
}

// undo brings a fleet back to what it was, as far as may be done. It goes on after a step that fails.
func (d *Director) undo(ctx context.Context, l *lane) error {
	if l.info.Fleet == nil {
		return nil
	}
	d.askFleet(ctx, l)
	var failed []error
	for _, o := range l.undoing() {
		_, err := steer(ctx, l.info.Fleet, o)
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

// undoing are the orders that undo what is not as it was.
func (l *lane) undoing() []Order {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []Order
	frozen, there := false, 0
	for _, p := range l.pods {
		frozen = frozen || p.alive() && p.phase == stagev1.PodPhase_POD_PHASE_FROZEN
		if p.gone == 0 && p.phase != stagev1.PodPhase_POD_PHASE_DRAINING {
			there++
		}
	}
	if up := l.redisUp(); up != nil && !*up && l.can(venue.Redis) {
		out = append(out, Order{Verb: venue.Redis, Up: true})
	}
	if frozen && l.can(venue.Thaw) {
		out = append(out, Order{Verb: venue.Thaw})
	}
	if l.info.Pods > 0 && there != l.info.Pods && l.can(venue.Scale) {
		out = append(out, Order{Verb: venue.Scale, Pods: l.info.Pods})
	}
	return out
}

// quiet has the callers hang up, and with initial forgets what they were told since the beginning.
func (d *Director) quiet(l *lane, take uint32, initial bool) {
	d.tell(l, func(load *load) {
		load.take, load.waiting, load.held = take, true, true
		if initial {
			load.headerless = false
			load.calls = d.options.Calls
			if d.options.Calls > 0 {
				load.rate = d.options.Rate
			}
		}
	})
}

// resume lets the callers start anew once nothing is being done to any lane of the group.
func (d *Director) resume(ctx context.Context, l *lane, g *group) {
	select {
	case <-g.complete:
	case <-ctx.Done():
	}
	d.tell(l, func(load *load) { load.held = false })
	d.openUp()
}

// openUp lets the callers of lanes that are ready begin. It waits for lanes that are about to be, so that all begin at once; not for one
// that is down.
func (d *Director) openUp() {
	now := d.now()
	if slices.ContainsFunc(d.lanes, func(l *lane) bool { return l.starts(now) }) {
		return
	}
	for _, l := range d.lanes {
		if l.opens(now) {
			d.tell(l, func(load *load) { load.waiting = load.held })
		}
	}
}

// startAnew begins counting from 0 with an event that goes on. The sessions are no more.
func (d *Director) startAnew(l *lane, e *event) {
	d.painting.Lock()
	defer d.painting.Unlock()
	f := l.startAnew(e)
	d.options.Scene.Change(func(c *scene.Change) { c.Play(f) })
}

func (l *lane) startAnew(e *event) *stagev1.Frame {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := &stagev1.Frame{}
	for id := range l.sessions {
		l.removeSession(f, id)
	}
	spent := l.spent
	l.anew()
	l.spent = spent
	l.note(e)
	return f
}

func (l *lane) setCasting(why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.casting = why
}

// arrive says that one lane is done. The last one does what is left to do before the others go on.
func (g *group) arrive(last func()) {
	if g.left.Add(-1) == 0 {
		last()
		close(g.complete)
	}
}

// tell changes what the lane's crowd is to do.
func (d *Director) tell(l *lane, change func(*load)) {
	l.telling.Lock()
	defer l.telling.Unlock()
	l.mu.Lock()
	change(&l.load)
	order := l.order(d.options.Seed)
	l.mu.Unlock()
	if order != nil {
		d.crowds.Order(l.info.ID, order)
	}
}
