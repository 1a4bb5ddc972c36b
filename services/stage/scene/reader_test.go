package scene_test

import (
	"fmt"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
)

// reader is what the page does with frames: each thing takes the place of what had the same key, and what is gone is removed. It knows
// nothing else of a scene.
type reader struct {
	things    map[string]proto.Message
	recording *stagev1.Recording
}

func (r *reader) take(f *stagev1.Frame) {
	if f.GetWhole() || r.things == nil {
		r.things = map[string]proto.Message{}
	}
	for _, l := range f.GetLanes() {
		r.things["lane/"+l.GetId()] = l
	}
	for _, p := range f.GetPods() {
		r.things["pod/"+p.GetLane()+"/"+p.GetName()] = p
	}
	for _, s := range f.GetSessions() {
		r.things["session/"+s.GetLane()+"/"+s.GetId()] = s
	}
	for _, e := range f.GetEvents() {
		r.things[fmt.Sprint("event/", e.GetLane(), "/", e.GetId())] = e
	}
	for _, p := range f.GetPoints() {
		r.things[fmt.Sprint("point/", p.GetLane(), "/", p.GetSecond())] = p
	}
	for _, g := range f.GetRings() {
		r.things["ring/"+g.GetLane()] = g
	}
	for _, g := range f.GetGone() {
		switch {
		case g.GetPod() != "":
			delete(r.things, "pod/"+g.GetLane()+"/"+g.GetPod())
		case g.GetSession() != "":
			delete(r.things, "session/"+g.GetLane()+"/"+g.GetSession())
		case g.GetRing():
			delete(r.things, "ring/"+g.GetLane())
		}
	}
	r.recording = f.GetRecording()
}

// requireSame fails unless both have the same things.
func requireSame(t interface {
	Helper()
	Fatalf(format string, args ...any)
}, want, got *reader, format string, args ...any) {
	t.Helper()
	if diff := cmp.Diff(want.things, got.things, protocmp.Transform()); diff != "" {
		t.Fatalf("%s: -what is there +what a reader has\n%s", fmt.Sprintf(format, args...), diff)
	}
	if diff := cmp.Diff(want.recording, got.recording, protocmp.Transform()); diff != "" {
		t.Fatalf("%s: recording\n%s", fmt.Sprintf(format, args...), diff)
	}
}
