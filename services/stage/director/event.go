package director

import (
	"time"

	"google.golang.org/protobuf/proto"

	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/services/stage/scene"
)

// event is one thing done to one lane. The lane's lock guards it.
type event struct {
	id, group uint32
	name, pod string
	backend   string
	started   time.Duration
	finished  *time.Duration
	err       string

	// hash and before are how sessions were given to pods when it began, and expected how many sessions that moves.
	hash     hash
	before   rotation
	expected *uint32
	changed  bool
}

// begin makes an event the lane's current one.
func (l *lane) begin(e *event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.note(e)
}

func (l *lane) note(e *event) {
	if e.backend == "" {
		e.backend = l.backend
	}
	l.events = append(l.events, e)
	l.moves.Begin(e.id, e.started)
	if e.finished != nil {
		l.moves.Finish(e.id, *e.finished)
	}
	l.mark(e)
}

// mark notes the endpoints as those before the event.
func (l *lane) mark(e *event) {
	e.hash, e.before, e.changed = l.hash, l.rotation, true
	l.expect()
}

// unchanged notes once more what an event finds, before it does anything.
func (l *lane) unchanged(e *event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mark(e)
}

// finish says what became of an event.
func (l *lane) finish(e *event, pod string, err error, now time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.finished, e.changed = &now, true
	if pod != "" {
		e.pod = pod
	}
	if err != nil {
		e.err = words(err)
	}
	l.moves.Finish(e.id, now)
	l.expect()
}

// expect computes how many of the sessions that had been answered before it the current event moves, by the endpoints as they are now. Callers that send no session follow no
// prediction.
func (l *lane) expect() {
	if len(l.events) == 0 {
		return
	}
	e := l.events[len(l.events)-1]
	var next *uint32
	if e.hash == l.hash && !l.load.headerless {
		var sessions []string
		for id, s := range l.sessions {
			if s.crowd && l.moves.Had(e.id, id) { // one that begins afterwards has nowhere to move from
				sessions = append(sessions, id)
			}
		}
		next = e.hash.moved(e.before.hosts, l.rotation.hosts, sessions)
	}
	if next == nil && e.expected == nil || next != nil && e.expected != nil && *next == *e.expected {
		return
	}
	e.expected, e.changed = next, true
}

// expected is the sum over all events; nil where the lane's backend can't be predicted.
func (l *lane) expected() *uint32 {
	if !l.hash.known() {
		return nil
	}
	var sum uint32
	for _, e := range l.events {
		if e.expected != nil {
			sum += *e.expected
		}
	}
	return &sum
}

// fillEvents puts those that are not as they were into a frame.
func (l *lane) fillEvents(f *stagev1.Frame) {
	changed := map[uint32]bool{}
	for _, id := range l.moves.Changed() {
		changed[id] = true
	}
	for _, e := range l.events {
		if e.changed || changed[e.id] {
			e.changed = false
			f.Events = append(f.Events, l.eventMessage(e))
		}
	}
}

func (l *lane) eventMessage(e *event) *stagev1.Event {
	became := l.moves.Tally(e.id)
	out := &stagev1.Event{
		Id: e.id, Lane: l.info.ID, Group: e.group, Name: e.name, Pod: e.pod, StartedMs: scene.Millis(e.started),
		Error: e.err, Backend: e.backend, Observed: became.Observed, Moved: became.Moved, Expected: e.expected, Counts: became.Counts,
	}
	if e.finished != nil {
		out.FinishedMs = proto.Float64(scene.Millis(*e.finished))
	}
	for _, name := range l.meter.Names() { // what was measured, and did not happen, is 0
		if _, happened := out.Counts[name]; !happened {
			out.Counts[name] = 0
		}
	}
	if became.WorstGap > 0 {
		out.WorstGapMs = proto.Float64(scene.Millis(became.WorstGap))
	}
	return out
}
