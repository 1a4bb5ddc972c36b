package client

import (
	"math/rand/v2"
	"time"
)

// Waits before another attempt double from firstWait to lastWait, and each is jittered by half either way, so that the
// callers of a dead pod do not come back as one.
const (
	firstWait = 50 * time.Millisecond
	lastWait  = time.Second
)

// Backoff is the wait before attempt n, from 1.
func Backoff(random *rand.Rand, n int) time.Duration {
	wait := min(firstWait<<min(n-1, 10), lastWait)
	return wait/2 + time.Duration(random.Int64N(int64(wait)))
}
