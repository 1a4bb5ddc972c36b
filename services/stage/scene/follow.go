package scene

import (
	"context"
	"time"

	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
)

// Pace is the least time between two frames that Follow shows.
const Pace = 100 * time.Millisecond

// Follow shows what changes after a version, as Frame has it, until ctx ends or show fails, and returns why. It shows a nil frame each time
// that quiet has passed; 0: never. It waits for show, and the scene for neither.
func (s *Scene) Follow(ctx context.Context, after uint64, quiet time.Duration, show func(f *stagev1.Frame, version uint64) error) error {
	var idle <-chan time.Time
	if quiet > 0 {
		ticker := s.clock.NewTicker(quiet)
		defer ticker.Stop()
		idle = ticker.Chan()
	}
	var pace <-chan time.Time // nil once the next frame may be shown
	for {
		var next <-chan struct{}
		if pace == nil {
			next = s.Next(after)
		}
		var err error
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-next:
			var f *stagev1.Frame
			if f, after = s.Frame(after); f != nil {
				pace = s.clock.After(Pace)
				err = show(f, after)
			}
		case <-pace:
			pace = nil
		case <-idle:
			err = show(nil, after)
		}
		if err != nil {
			return err
		}
	}
}
