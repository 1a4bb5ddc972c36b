package peer

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Lag is how late frames were sent, each counted.
type Lag struct {
	P50, P99, Max time.Duration
	Frames        int64
}

// lag is written by the wheel's goroutine and read by whoever asks.
type lag struct {
	mu   sync.Mutex
	hist *hdrhistogram.Histogram // microseconds
}

// longestLag is what the histogram tells apart; a longer one counts as this.
const longestLag = time.Minute

func newLag() *lag { return &lag{hist: hdrhistogram.New(1, longestLag.Microseconds(), 3)} }

func (l *lag) record(late time.Duration, frames int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.hist.RecordValues(min(late, longestLag).Microseconds(), int64(frames)) // in range
}

func (l *lag) snapshot() Lag {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := func(p float64) time.Duration { return time.Duration(l.hist.ValueAtPercentile(p)) * time.Microsecond }
	return Lag{P50: at(50), P99: at(99), Max: time.Duration(l.hist.Max()) * time.Microsecond, Frames: l.hist.TotalCount()}
}

func (l *lag) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hist.Reset()
}
