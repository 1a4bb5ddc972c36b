package podtest

import "time"

// How long tests wait for what another process or goroutine does, and how often they look.
const (
	Wait = 10 * time.Second
	Poll = 2 * time.Millisecond
)
