package moves

import (
	"maps"
	"slices"
	"time"
)

const (
	// late is how long after the next event's start what belongs to an event may still come in.
	late = 10 * time.Second
	// settling is how long after it is complete an event still costs something: callers find out by their next request, and redial.
	settling = 10 * time.Second
)

// Account is of one lane. It is not safe for concurrent use.
type Account struct {
	last   map[string]answer // by session
	events []*event          // by start, all of them
}

type answer struct {
	address string
	done    time.Duration
}

type event struct {
	id      uint32
	started time.Duration
	// before and after have the last answer of each session; nil once nothing is waited for any more.
	before, after   map[string]answer
	observed, moved uint32
	counts          map[string]uint32
	worst           time.Duration
	settled         time.Duration // when nothing more is its doing; 0 until it is complete
	changed         bool
}

// Tally is what became of one event so far.
type Tally struct {
	Observed, Moved uint32
	Counts          map[string]uint32
	// WorstGap is 0 where there was none.
	WorstGap time.Duration
}

// New knows no session and no event.
func New() *Account { return &Account{last: map[string]answer{}} }

// Begin says that an event starts. Events come in the order of their starts.
func (a *Account) Begin(id uint32, started time.Duration) {
	for i, e := range a.events {
		if a.end(i) <= started-late {
			e.before, e.after = nil, nil
		}
	}
	a.events = append(a.events, &event{
		id: id, started: started, before: maps.Clone(a.last), after: map[string]answer{}, counts: map[string]uint32{}, changed: true,
	})
}

// Finish says that an event is complete.
func (a *Account) Finish(id uint32, at time.Duration) {
	if e := a.find(id); e != nil {
		e.settled = at + settling
	}
}

// Answer adds one, by the address of the pod that gave it.
func (a *Account) Answer(session, address string, sent, done time.Duration) {
	got := answer{address, done}
	if was, known := a.last[session]; !known || was.done <= done {
		a.last[session] = got
	}
	for i := len(a.events) - 1; i >= 0; i-- {
		e := a.events[i]
		if e.before == nil {
			return // and those before it wait for nothing either
		}
		switch {
		case done <= e.started:
			e.put(e.before, session, got)
		case sent >= e.started && done <= a.end(i):
			e.put(e.after, session, got)
		}
	}
}

// Count adds one of a name to the event in whose time it was.
func (a *Account) Count(at time.Duration, name string) {
	if e := a.during(at); e != nil {
		e.counts[name]++
		e.changed = true
	}
}

// Gap adds the longest gap of one call in one second.
func (a *Account) Gap(at, length time.Duration) {
	if e := a.during(at); e != nil && length > e.worst {
		e.worst, e.changed = length, true
	}
}

// Forget drops a session that is no more. What it did to events before stays.
func (a *Account) Forget(session string) { delete(a.last, session) }

// Had is whether a session had an answer before an event. While the event is the last one, that is known.
func (a *Account) Had(id uint32, session string) bool {
	e := a.find(id)
	if e == nil {
		return false
	}
	_, had := e.before[session]
	return had
}

// Tally of an event; all zero where there is none of that id.
func (a *Account) Tally(id uint32) Tally {
	e := a.find(id)
	if e == nil {
		return Tally{}
	}
	return Tally{Observed: e.observed, Moved: e.moved, Counts: maps.Clone(e.counts), WorstGap: e.worst}
}

// Changed are the events whose tallies are not as they were when it was called last.
func (a *Account) Changed() []uint32 {
	var out []uint32
	for _, e := range a.events {
		if e.changed {
			e.changed = false
			out = append(out, e.id)
		}
	}
	return out
}

// Moved is the sum over all events; nil while no session was observed.
func (a *Account) Moved() *uint32 {
	var sum, observed uint32
	for _, e := range a.events {
		sum += e.moved
		observed += e.observed
	}
	if observed == 0 {
		return nil
	}
	return &sum
}

// find is the event of an id, from the newest on; nil: there is none.
func (a *Account) find(id uint32) *event {
	for _, e := range slices.Backward(a.events) {
		if e.id == id {
			return e
		}
	}
	return nil
}

// during is the event that what happens at a time is the doing of; nil: none's.
func (a *Account) during(at time.Duration) *event {
	for _, e := range slices.Backward(a.events) {
		if e.started > at {
			continue
		}
		if e.settled != 0 && at > e.settled {
			return nil
		}
		return e
	}
	return nil
}

// end is when the next event started.
func (a *Account) end(i int) time.Duration {
	if i+1 < len(a.events) {
		return a.events[i+1].started
	}
	return 1<<63 - 1
}

// put keeps the later one of two answers, and counts anew what the session does.
func (e *event) put(into map[string]answer, session string, got answer) {
	if was, known := into[session]; known && was.done > got.done {
		return
	}
	observed, moved := e.judge(session)
	into[session] = got
	nowObserved, nowMoved := e.judge(session)
	e.observed += nowObserved - observed
	e.moved += nowMoved - moved
	e.changed = e.changed || nowObserved != observed || nowMoved != moved
}

// judge is whether a session is observed and has moved, as 0 or 1.
func (e *event) judge(session string) (observed, moved uint32) {
	before, seen := e.before[session]
	after, again := e.after[session]
	switch {
	case !seen || !again:
		return 0, 0
	case before.address != after.address:
		return 1, 1
	}
	return 1, 0
}
