package fleet

import (
	"context"
	"sync"
)

// board lets changes wait for a condition over the state of processes and endpoints. Whoever changes that state announces it, and
// every waiter looks again.
type board struct {
	closing <-chan struct{}

	mu      sync.Mutex
	changed chan struct{}
}

func newBoard(closing <-chan struct{}) *board {
	return &board{closing: closing, changed: make(chan struct{})}
}

func (b *board) announce() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.changed)
	b.changed = make(chan struct{})
}

func (b *board) next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.changed
}

// await returns once the condition is true or fails, ctx ends, or the fleet goes down (ErrClosed).
func (b *board) await(ctx context.Context, condition func() (bool, error)) error {
	for {
		next := b.next() // before looking, so that nothing is missed
		if done, err := condition(); done || err != nil {
			return err
		}
		select {
		case <-next:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-b.closing:
			return ErrClosed
		}
	}
}
