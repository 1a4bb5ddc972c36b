package watch

import (
	"context"
	"time"

	"github.com/jonboulle/clockwork"
)

// Pace of asking.
type Pace struct {
	// Every is from the start of one request to that of the next, at least.
	Every time.Duration
	// Timeout bounds one request.
	Timeout time.Duration
	// Share of the time, 0 to 1, that requests may take: the next one waits until the last was no more than that.
	Share float64
}

// Loop asks until ctx ends. What ask makes of an error is its own matter.
func Loop(ctx context.Context, clock clockwork.Clock, p Pace, ask func(context.Context)) {
	for {
		began := clock.Now()
		bounded, cancel := context.WithTimeout(ctx, p.Timeout)
		ask(bounded)
		cancel()
		took := clock.Since(began)
		wait := clock.NewTimer(max(p.Every, time.Duration(float64(took)/p.Share)) - took)
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-wait.Chan():
		}
	}
}
