package scene

import (
	"container/list"
	"crypto/rand"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"
	"google.golang.org/protobuf/proto"

	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
)

// Scene is safe for concurrent use.
type Scene struct {
	// Instance tells this scene's versions from those of another.
	Instance string

	clock  clockwork.Clock
	opened time.Time

	mu      sync.Mutex
	version uint64
	// whole is the version before which nothing can be told apart: a reader that is older gets everything.
	whole     uint64
	changed   chan struct{}
	things    map[key]*list.Element
	order     *list.List       // of *thing: the last that was put is at the back, so that its end is what a reader lacks
	points    map[string][]key // of a lane, in the order in which they came
	gone      []key            // oldest first
	recording *stagev1.Recording
}

// kind orders the things of a frame.
type kind uint8

const (
	lane kind = iota
	pod
	session
	event
	point
	ring
)

type key struct {
	kind kind
	lane string
	name string
	id   uint32
}

type thing struct {
	key     key
	version uint64
	// value is nil where the thing is gone.
	value proto.Message
}

const (
	// keepPoints is how many seconds of a lane are kept.
	keepPoints = 600
	// keepGone is how many things that are gone are remembered. A reader that missed more of them gets everything.
	keepGone = 4096
)

// New is an empty scene that opens now.
func New(clock clockwork.Clock) *Scene {
	return &Scene{
		Instance: rand.Text()[:8], clock: clock, opened: clock.Now(), version: 1,
		changed: make(chan struct{}), things: map[key]*list.Element{}, order: list.New(), points: map[string][]key{},
	}
}

// Since is the time from the opening of the scene to t.
func (s *Scene) Since(t time.Time) time.Duration { return t.Sub(s.opened) }

// Frame is what changed after a version, and the version that it leads to. It is nil where nothing did. Version 0 asks for everything,
// and so does one that this scene has not had. The messages in it are shared: they must not be changed.
func (s *Scene) Frame(after uint64) (*stagev1.Frame, uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if after == s.version {
		return nil, after
	}
	f := &stagev1.Frame{AtMs: Millis(s.clock.Since(s.opened)), Recording: s.recording}
	if s.recording != nil {
		f.AtMs = s.recording.GetAtMs() // the times in it are those of the run that was recorded
	}
	if after < s.whole || after == 0 || after > s.version {
		f.Whole, after = true, 0
	}
	for e := s.order.Back(); e != nil; e = e.Prev() {
		t := e.Value.(*thing)
		if t.version <= after {
			break
		}
		add(f, t.key, t.value)
	}
	sortFrame(f)
	return f, s.version
}

// Next is closed once there is a version after this one.
func (s *Scene) Next(after uint64) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.version != after {
		return closed
	}
	return s.changed
}

var closed = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// Millis is a time in milliseconds, as frames have it.
func Millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
