package conduct

import (
	"sync"

	"github.com/smaran-v2/smaran/loadtest/internal/engine"
)

// latest passes progress on without making the engine wait: who is slow to take it misses what was overtaken.
type latest struct {
	mu     sync.Mutex
	opened bool
	ended  bool
	// all has room for one.
	all chan engine.Progress
}

func newLatest() *latest { return &latest{all: make(chan engine.Progress, 1)} }

func (l *latest) put(p engine.Progress) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.opened || l.ended {
		return
	}
	select {
	case <-l.all:
	default:
	}
	l.all <- p
}

// open lets progress through: what comes before is of a fleet that the conductor has started long since.
func (l *latest) open() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.opened = true
}

// end closes all. What is put later is lost.
func (l *latest) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	close(l.all)
}
