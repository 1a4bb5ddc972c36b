package backend

import (
	"math/rand/v2"
	"sync"
)

// lockedRand is a *rand.Rand for several goroutines.
type lockedRand struct {
	mu sync.Mutex
	r  *rand.Rand
}

// intN returns a number in [0,n).
func (l *lockedRand) intN(n int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.r.IntN(n)
}
