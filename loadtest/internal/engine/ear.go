package engine

import (
	"sync"
	"time"

	"github.com/smaran-v2/smaran/loadtest/internal/peer"
	"github.com/smaran-v2/smaran/loadtest/internal/tally"
)

// ear turns one caller's gaps into records: each one above a bound as it ends, and the longest of each slice.
//
// A gap that is mostly silence (the sender's media clock went on and its sequence did not) is no gap in the media and not
// recorded. Loss is: who listens hears nothing either way.
type ear struct {
	call      int
	epoch     time.Time
	end       time.Duration
	threshold time.Duration
	recorder  Recorder

	mu      sync.Mutex
	over    bool
	slice   int64
	longest tally.Gap
}

// hear is an Ear.
func (e *ear) hear(g peer.Gap) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over || g.Kind == peer.Silence {
		return
	}
	gap := tally.Gap{Call: e.call, At: g.Start.Add(g.Duration).Sub(e.epoch), Duration: g.Duration}
	if gap.At >= e.end { // it ended past the end, so it was open at the end
		gap.Duration -= gap.At - e.end
		gap.At = e.end - 1
		e.over = true
	}
	if slice := int64(gap.At / tally.GapSlice); slice != e.slice {
		e.flush()
		e.slice = slice
	}
	if gap.Duration > e.longest.Duration {
		e.longest = gap
	}
	e.classify(gap, tally.MediaInterruption, e.threshold)
	e.classify(gap, tally.GapOver60ms, peer.Gap60ms)
	e.classify(gap, tally.GapOver1s, peer.Gap1s)
}

func (e *ear) classify(gap tally.Gap, class tally.Class, bound time.Duration) {
	if gap.Duration > bound {
		e.recorder.Occurrence(tally.Occurrence{At: gap.At, Call: e.call, Class: class})
	}
}

// finish records what is left.
func (e *ear) finish() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.over = true
	e.flush()
}

func (e *ear) flush() {
	if e.longest.Duration > 0 {
		e.recorder.Gap(e.longest)
	}
	e.longest = tally.Gap{}
}
