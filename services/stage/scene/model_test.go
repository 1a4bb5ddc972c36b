package scene_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/services/stage/scene"
)

// change draws one change, and what it makes of the things that there are.
func change(t *rapid.T, things map[string]proto.Message, recording **stagev1.Recording) func(*scene.Change) {
	lane := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "lane")
	name := rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "name")
	n := rapid.Uint32Range(1, 3).Draw(t, "n")
	put := func(key string, m proto.Message) { things[key] = m }
	switch rapid.SampledFrom([]string{"lane", "pod", "session", "event", "point", "ring", "gone", "gone", "clear", "recording"}).Draw(t, "what") {
	case "lane":
		l := &stagev1.Lane{Id: lane, Backend: name}
		put("lane/"+lane, l)
		return func(c *scene.Change) { c.Lane(l) }
	case "pod":
		p := &stagev1.Pod{Lane: lane, Name: name, Sessions: n}
		put("pod/"+lane+"/"+name, p)
		return func(c *scene.Change) { c.Pod(p) }
	case "session":
		s := &stagev1.Session{Lane: lane, Id: name, Turn: n}
		put("session/"+lane+"/"+name, s)
		return func(c *scene.Change) { c.Session(s) }
	case "event":
		e := &stagev1.Event{Lane: lane, Id: n, Name: name}
		put(fmt.Sprint("event/", lane, "/", n), e)
		return func(c *scene.Change) { c.Event(e) }
	case "point":
		p := &stagev1.Point{Lane: lane, Second: n, Requests: uint32(len(things))}
		put(fmt.Sprint("point/", lane, "/", n), p)
		return func(c *scene.Change) { c.Point(p) }
	case "ring":
		r := &stagev1.Ring{Lane: lane, Policy: name}
		put("ring/"+lane, r)
		return func(c *scene.Change) { c.Ring(r) }
	case "clear":
		for key := range things {
			if key[:4] != "lane" {
				delete(things, key)
			}
		}
		return func(c *scene.Change) { c.Clear() }
	case "recording":
		*recording = nil
		if n > 1 {
			*recording = &stagev1.Recording{Command: name, AtMs: float64(n)}
		}
		set := *recording
		return func(c *scene.Change) { c.Recording(set) }
	}
	g := &stagev1.Gone{Lane: lane}
	switch n {
	case 1:
		g.Thing = &stagev1.Gone_Pod{Pod: name}
		delete(things, "pod/"+lane+"/"+name)
	case 2:
		g.Thing = &stagev1.Gone_Session{Session: name}
		delete(things, "session/"+lane+"/"+name)
	default:
		g.Thing = &stagev1.Gone_Ring{Ring: true}
		delete(things, "ring/"+lane)
	}
	return func(c *scene.Change) { c.Remove(g) }
}

// Whatever is put and removed, and whenever readers ask: who has a version has what was there at it.
func TestAReaderHasWhatTheSceneHas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		clock := clockwork.NewFakeClock()
		s := scene.New(clock)
		truth := &reader{things: map[string]proto.Message{}}
		type at struct {
			reader
			version uint64
		}
		readers := make([]at, 3)
		for step := range rapid.IntRange(1, 60).Draw(t, "steps") {
			// Several changes may come as one.
			var all []func(*scene.Change)
			for range rapid.IntRange(0, 4).Draw(t, "changes") {
				all = append(all, change(t, truth.things, &truth.recording))
			}
			s.Change(func(c *scene.Change) {
				for _, one := range all {
					one(c)
				}
			})
			clock.Advance(time.Millisecond)
			// Some readers ask; the others miss this version.
			for i := range readers {
				r := &readers[i]
				switch rapid.SampledFrom([]string{"asks", "asks", "misses", "misses", "is new"}).Draw(t, "reader") {
				case "misses":
					continue
				case "is new":
					*r = at{}
				}
				f, version := s.Frame(r.version)
				if f == nil {
					if version != r.version {
						t.Fatalf("no frame from %d to %d", r.version, version)
					}
				} else {
					if r.version == 0 && !f.GetWhole() {
						t.Fatalf("a new reader's first frame is not whole")
					}
					r.take(f)
				}
				r.version = version
				requireSame(t, truth, &r.reader, "step %d, reader %d", step, i)
			}
		}
	})
}
