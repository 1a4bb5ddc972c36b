package scene

import (
	"google.golang.org/protobuf/proto"

	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
)

// Change is one change of a scene, which readers see as a whole or not at all. What is put into it belongs to the scene from then on.
// Putting what is there already changes nothing.
type Change struct {
	scene *Scene
	dirty bool
}

// Change makes one change. It must not be called from within another.
func (s *Scene) Change(do func(*Change)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &Change{scene: s}
	s.version++ // what is put gets the new version
	do(c)
	if !c.dirty {
		s.version--
		return
	}
	s.announce()
}

func (s *Scene) announce() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Lane puts a lane.
func (c *Change) Lane(l *stagev1.Lane) { c.put(key{kind: lane, lane: l.GetId()}, l) }

// Pod puts a pod.
func (c *Change) Pod(p *stagev1.Pod) { c.put(key{kind: pod, lane: p.GetLane(), name: p.GetName()}, p) }

// Session puts a session.
func (c *Change) Session(s *stagev1.Session) {
	c.put(key{kind: session, lane: s.GetLane(), name: s.GetId()}, s)
}

// Event puts an event.
func (c *Change) Event(e *stagev1.Event) {
	c.put(key{kind: event, lane: e.GetLane(), id: e.GetId()}, e)
}

// Point puts a second of a lane. The oldest leave when there are many.
func (c *Change) Point(p *stagev1.Point) {
	k := key{kind: point, lane: p.GetLane(), id: p.GetSecond()}
	if _, known := c.scene.things[k]; !known {
		all := append(c.scene.points[k.lane], k)
		if len(all) > keepPoints {
			c.scene.drop(all[0])
			all = all[1:]
		}
		c.scene.points[k.lane] = all
	}
	c.put(k, p)
}

// Ring puts a lane's ring.
func (c *Change) Ring(r *stagev1.Ring) { c.put(key{kind: ring, lane: r.GetLane()}, r) }

// Remove takes away what a Gone names; what is not there may be named.
func (c *Change) Remove(g *stagev1.Gone) {
	k, ok := keyOf(g)
	if !ok {
		return
	}
	if t := c.scene.look(k); t == nil || t.value == nil {
		return
	}
	c.set(k, nil)
	c.scene.forget(k)
}

// Clear takes everything away but lanes: all readers begin anew.
func (c *Change) Clear() {
	c.dirty = true
	for k := range c.scene.things {
		if k.kind != lane {
			c.scene.drop(k)
		}
	}
	clear(c.scene.points)
	c.scene.gone = nil
	c.scene.whole = c.scene.version
}

// Recording says what is played; nil: nothing is.
func (c *Change) Recording(r *stagev1.Recording) {
	c.dirty = c.dirty || !proto.Equal(r, c.scene.recording)
	c.scene.recording = r
}

// Play puts all of a frame, as it was read from a recording.
func (c *Change) Play(f *stagev1.Frame) {
	if f.GetWhole() {
		c.Clear()
	}
	for _, l := range f.GetLanes() {
		c.Lane(l)
	}
	for _, p := range f.GetPods() {
		c.Pod(p)
	}
	for _, s := range f.GetSessions() {
		c.Session(s)
	}
	for _, e := range f.GetEvents() {
		c.Event(e)
	}
	for _, p := range f.GetPoints() {
		c.Point(p)
	}
	for _, r := range f.GetRings() {
		c.Ring(r)
	}
	for _, g := range f.GetGone() {
		c.Remove(g)
	}
}

func (c *Change) put(k key, value proto.Message) {
	if t := c.scene.look(k); t != nil && t.value != nil && proto.Equal(t.value, value) {
		return
	}
	c.set(k, value)
}

func (c *Change) set(k key, value proto.Message) {
	c.dirty = true
	t := &thing{key: k, version: c.scene.version, value: value}
	if e, known := c.scene.things[k]; known {
		e.Value = t
		c.scene.order.MoveToBack(e)
		return
	}
	c.scene.things[k] = c.scene.order.PushBack(t)
}

// look is nil where the scene never had k, or has forgotten it.
func (s *Scene) look(k key) *thing {
	if e, known := s.things[k]; known {
		return e.Value.(*thing)
	}
	return nil
}

func (s *Scene) drop(k key) {
	if e, known := s.things[k]; known {
		s.order.Remove(e)
		delete(s.things, k)
	}
}

// forget remembers that a thing is gone, and the oldest of them no longer, if they are many.
func (s *Scene) forget(k key) {
	s.gone = append(s.gone, k)
	for len(s.gone) > keepGone {
		oldest := s.gone[0]
		s.gone = s.gone[1:]
		if t := s.look(oldest); t != nil && t.value == nil { // else it came back
			s.whole = max(s.whole, t.version)
			s.drop(oldest)
		}
	}
}
