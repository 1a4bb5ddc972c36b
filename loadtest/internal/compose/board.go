package compose

import (
	"context"
	"sync"
)

// board tells whoever waits that something has changed.
type board struct {
	mu      sync.Mutex
	changed chan struct{}
}

func newBoard() *board { return &board{changed: make(chan struct{})} }

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

// await returns once the condition holds, ctx ends, or over is closed; only the first is no error.
func (b *board) await(ctx context.Context, over <-chan struct{}, condition func() bool) error {
	for {
		changed := b.next()
		if condition() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-over:
			return errOver
		}
	}
}
