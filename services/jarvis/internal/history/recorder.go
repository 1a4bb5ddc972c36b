package history

import (
	"slices"
	"sync"
	"time"
)

// Recorder keeps events in the order in which they come. It is safe for concurrent use.
type Recorder struct {
	begin time.Time

	mu     sync.Mutex
	events []Event
}

// NewRecorder begins now.
func NewRecorder() *Recorder { return &Recorder{begin: time.Now()} }

// Record numbers an event and keeps it.
func (r *Recorder) Record(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e.Seq, e.At = uint64(len(r.events))+1, time.Since(r.begin)
	r.events = append(r.events, e)
}

// Events are those so far.
func (r *Recorder) Events() []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

// Count is how many of a kind there are.
func Count(events []Event, kind Kind) int {
	n := 0
	for _, e := range events {
		if e.Kind == kind {
			n++
		}
	}
	return n
}
