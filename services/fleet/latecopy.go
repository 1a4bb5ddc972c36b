package fleet

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/smaran-v2/smaran/services/endpoints"
)

// lateCopy is a second endpoints file that is behind the first one by lag, as one proxy of a cluster is behind another.
type lateCopy struct {
	path string
	lag  time.Duration
	kick chan struct{}

	mu    sync.Mutex
	queue []lateSet
}

type lateSet struct {
	endpoints.Set
	due time.Time
}

func newLateCopy(path string, lag time.Duration) *lateCopy {
	return &lateCopy{path: path, lag: lag, kick: make(chan struct{}, 1)}
}

// add has a set written once its time comes.
func (c *lateCopy) add(s endpoints.Set, written time.Time) {
	c.mu.Lock()
	c.queue = append(c.queue, lateSet{Set: s, due: written.Add(c.lag)})
	c.mu.Unlock()
	select {
	case c.kick <- struct{}{}:
	default: // one is pending
	}
}

func (c *lateCopy) next() (s lateSet, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 {
		return lateSet{}, false
	}
	s, c.queue = c.queue[0], c.queue[1:]
	return s, true
}

// catchUp writes the latest set at once: who reads the file begins with what there is.
func (c *lateCopy) catchUp() error {
	var latest lateSet
	for s, ok := c.next(); ok; s, ok = c.next() {
		latest = s
	}
	return endpoints.WriteFile(c.path, latest.Set)
}

// runLateCopy writes what is due until ctx ends.
func (f *Fleet) runLateCopy(ctx context.Context) {
	c := f.late
	for {
		s, ok := c.next()
		if !ok {
			select {
			case <-c.kick:
				continue
			case <-ctx.Done():
				return
			}
		}
		timer := f.clock.NewTimer(f.clock.Until(s.due))
		select {
		case <-timer.Chan():
		case <-ctx.Done():
			timer.Stop()
			return
		}
		if err := endpoints.WriteFile(c.path, s.Set); err != nil {
			f.notices.add(slog.LevelError, "late endpoints: "+err.Error())
		}
	}
}
