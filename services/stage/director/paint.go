package director

import (
	"time"

	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/services/stage/scene"
)

// paint brings the scene up to date.
func (d *Director) paint() {
	d.painting.Lock()
	defer d.painting.Unlock()
	f := d.frame()
	d.options.Scene.Change(func(c *scene.Change) { c.Play(f) })
}

// frame is what looks otherwise than in the scene, as far as lanes know.
func (d *Director) frame() *stagev1.Frame {
	now := d.now()
	f := &stagev1.Frame{}
	for _, l := range d.lanes {
		l.fill(f, now)
	}
	return f
}

// clear has everybody begin anew: the lanes' meters, and all who read the scene.
func (d *Director) clear() {
	d.painting.Lock()
	defer d.painting.Unlock()
	for _, l := range d.lanes {
		l.unseen()
	}
	f := d.frame()
	d.options.Scene.Change(func(c *scene.Change) {
		c.Clear()
		c.Play(f)
	})
}

// unseen says that the scene has nothing of the lane but the lane itself.
func (l *lane) unseen() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.sessions {
		s.visible = false
	}
	for _, e := range l.events {
		e.changed = true
	}
	l.ring = shownRing{}
}

// fill puts what looks otherwise than before into a frame; what the scene has already does no harm.
func (l *lane) fill(f *stagev1.Frame, now time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.meter.Advance(now, l.attached)
	owned := l.fillSessions(f, now)
	l.pods.fill(f, l.info.ID, owned, now)
	l.fillRing(f)
	l.fillEvents(f)
	for _, p := range l.meter.Points(now) {
		p.Lane = l.info.ID
		f.Points = append(f.Points, p)
	}
	f.Lanes = append(f.Lanes, l.message(now))
}

func (l *lane) fillRing(f *stagev1.Frame) {
	if l.ring.fresh {
		return
	}
	l.ring.fresh = true
	ring := ringOf(l.hash, l.rotation)
	switch {
	case ring != nil:
		ring.Lane = l.info.ID
		l.ring.shown = true
		f.Rings = append(f.Rings, ring)
	case l.ring.shown:
		l.ring.shown = false
		f.Gone = append(f.Gone, &stagev1.Gone{Lane: l.info.ID, Thing: &stagev1.Gone_Ring{Ring: true}})
	}
}
