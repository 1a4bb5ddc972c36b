package scene

import (
	"cmp"
	"slices"

	"google.golang.org/protobuf/proto"

	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
)

// add puts a thing into a frame; value is nil where it is gone.
func add(f *stagev1.Frame, k key, value proto.Message) {
	switch v := value.(type) {
	case *stagev1.Lane:
		f.Lanes = append(f.Lanes, v)
	case *stagev1.Pod:
		f.Pods = append(f.Pods, v)
	case *stagev1.Session:
		f.Sessions = append(f.Sessions, v)
	case *stagev1.Event:
		f.Events = append(f.Events, v)
	case *stagev1.Point:
		f.Points = append(f.Points, v)
	case *stagev1.Ring:
		f.Rings = append(f.Rings, v)
	case nil:
		if !f.GetWhole() {
			f.Gone = append(f.Gone, goneOf(k))
		}
	}
}

func goneOf(k key) *stagev1.Gone {
	g := &stagev1.Gone{Lane: k.lane}
	switch k.kind {
	case pod:
		g.Thing = &stagev1.Gone_Pod{Pod: k.name}
	case session:
		g.Thing = &stagev1.Gone_Session{Session: k.name}
	case ring:
		g.Thing = &stagev1.Gone_Ring{Ring: true}
	}
	return g
}

func keyOf(g *stagev1.Gone) (key, bool) {
	switch t := g.GetThing().(type) {
	case *stagev1.Gone_Pod:
		return key{kind: pod, lane: g.GetLane(), name: t.Pod}, true
	case *stagev1.Gone_Session:
		return key{kind: session, lane: g.GetLane(), name: t.Session}, true
	case *stagev1.Gone_Ring:
		return key{kind: ring, lane: g.GetLane()}, true
	}
	return key{}, false
}

// sortFrame puts things in the order of their keys, so that equal frames are equal bytes.
func sortFrame(f *stagev1.Frame) {
	slices.SortFunc(f.Lanes, func(a, b *stagev1.Lane) int { return cmp.Compare(a.GetId(), b.GetId()) })
	slices.SortFunc(f.Pods, func(a, b *stagev1.Pod) int {
		return cmp.Or(cmp.Compare(a.GetLane(), b.GetLane()), cmp.Compare(a.GetName(), b.GetName()))
	})
	slices.SortFunc(f.Sessions, func(a, b *stagev1.Session) int {
		return cmp.Or(cmp.Compare(a.GetLane(), b.GetLane()), cmp.Compare(a.GetId(), b.GetId()))
	})
	slices.SortFunc(f.Events, func(a, b *stagev1.Event) int {
		return cmp.Or(cmp.Compare(a.GetId(), b.GetId()), cmp.Compare(a.GetLane(), b.GetLane()))
	})
	slices.SortFunc(f.Points, func(a, b *stagev1.Point) int {
		return cmp.Or(cmp.Compare(a.GetLane(), b.GetLane()), cmp.Compare(a.GetSecond(), b.GetSecond()))
	})
	slices.SortFunc(f.Rings, func(a, b *stagev1.Ring) int { return cmp.Compare(a.GetLane(), b.GetLane()) })
	slices.SortFunc(f.Gone, func(a, b *stagev1.Gone) int {
		ka, _ := keyOf(a)
		kb, _ := keyOf(b)
		return cmp.Or(cmp.Compare(ka.kind, kb.kind), cmp.Compare(ka.lane, kb.lane), cmp.Compare(ka.name, kb.name))
	})
}
