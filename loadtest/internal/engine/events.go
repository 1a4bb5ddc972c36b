package engine

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/smaran-v2/smaran/loadtest/internal/driver"
	"github.com/smaran-v2/smaran/loadtest/internal/scenario"
)

// done is one event as it was done. Times count from the start of the run.
type done struct {
	Event scenario.Event
	// Planned includes the warm-up.
	Planned, Started, Finished time.Duration
	Pod                        string
	Err                        error
}

// errRunOver is the cause with which an event is given up that the run's end overtook.
var errRunOver = errors.New("the run ended first")

// doEvents does the events in order, each at its offset or when the one before is complete, whichever is later. It returns
// those that it began.
func doEvents(ctx context.Context, clock clockwork.Clock, epoch time.Time, warmup time.Duration, f driver.Fleet,
	events []scenario.Event, log *slog.Logger, began func(scenario.Event),
) []done {
	var out []done
	for _, e := range scenario.Sorted(events) {
		planned := warmup + e.At
		if wait := planned - clock.Since(epoch); wait > 0 {
			timer := clock.NewTimer(wait)
			select {
			case <-ctx.Done():
				timer.Stop()
				return out
			case <-timer.Chan():
			}
		} else if ctx.Err() != nil {
			return out
		}
		began(e)
		d := done{Event: e, Planned: planned, Started: clock.Since(epoch)}
		d.Pod, d.Err = f.Do(ctx, e)
		d.Finished = clock.Since(epoch)
		if d.Err != nil && ctx.Err() != nil {
			d.Err = context.Cause(ctx)
		}
		if d.Err != nil {
			log.Warn("event failed", "event", e.Name(), "error", d.Err)
		}
		out = append(out, d)
	}
	return out
}
