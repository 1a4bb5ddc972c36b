// Package weights stands for a model's weights: memory that a pod must have resident before it may serve. It gives a pod
// the footprint and the start-up time of the real thing, and computes nothing.
package weights

import (
	"context"
	"fmt"
	"os"
)

const mebibyte = 1 << 20

// Weights is resident memory for as long as it is reachable.
type Weights struct {
	memory []byte
}

// Load allocates the given number of MiB (0 or more) and writes to every page of it, since memory that was never written
// is only promised by the kernel. It returns the context's error when that ends first.
func Load(ctx context.Context, megabytes int) (*Weights, error) {
	if megabytes < 0 {
		return nil, fmt.Errorf("load weights: got %d MiB, expected 0 or more", megabytes)
	}
	w := &Weights{memory: make([]byte, megabytes*mebibyte)}
	page := os.Getpagesize()
	for start := 0; start < len(w.memory); start += mebibyte {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("load weights: stopped after %d of %d MiB: %w", start/mebibyte, megabytes, err)
		}
		for at := start; at < start+mebibyte; at += page {
			w.memory[at] = 1
		}
	}
	return w, nil
}

// Megabytes is the size in MiB.
func (w *Weights) Megabytes() int { return len(w.memory) / mebibyte }
