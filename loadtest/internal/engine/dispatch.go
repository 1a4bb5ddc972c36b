package engine

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/smaran-v2/smaran/loadtest/internal/plan"
	"github.com/smaran-v2/smaran/loadtest/internal/tally"
)

// dispatcher does each action of a plan when it is due, whatever became of those before.
type dispatcher struct {
	clock   clockwork.Clock
	epoch   time.Time
	warmup  time.Duration
	callers []*Caller

	// lag is how long after an action was due the timer woke; measured part only.
	lag tally.Histogram
	// dropped counts inferences that were due while the caller had too many unanswered; measured part only.
	dropped atomic.Uint64
	work    sync.WaitGroup
}

func newDispatcher(clock clockwork.Clock, epoch time.Time, warmup time.Duration, callers []*Caller) *dispatcher {
	return &dispatcher{clock: clock, epoch: epoch, warmup: warmup, callers: callers, lag: tally.NewHistogram()}
}

// run returns when all actions were started, or pacing ends. What it started goes on under ctx; work waits for it.
func (d *dispatcher) run(pacing, ctx context.Context, actions []plan.Action) {
	timer := d.clock.NewTimer(time.Hour)
	defer timer.Stop()
	for _, a := range actions {
		if wait := a.At - d.clock.Since(d.epoch); wait > 0 {
			timer.Reset(wait)
			select {
			case <-pacing.Done():
				return
			case <-timer.Chan():
			}
		} else if pacing.Err() != nil {
			return
		}
		if a.At >= d.warmup {
			d.lag.Record(d.clock.Since(d.epoch) - a.At)
		}
		if !d.callers[a.Call].Do(ctx, a, &d.work) && a.At >= d.warmup {
			d.dropped.Add(1)
		}
	}
}
