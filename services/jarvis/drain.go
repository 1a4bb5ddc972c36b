package jarvis

import (
	"context"
	"time"
)

// countdown is how often a drain logs what is left.
const countdown = time.Second

// Drain takes no new session and no new call from now on, tells watchers how long their calls may last, and returns when no
// call is left, timeout is over, or ctx ends, whichever comes first. It ends no call itself; Close does.
func (p *Pod) Drain(ctx context.Context, timeout time.Duration) {
	p.drain.Do(func() {
		close(p.draining)
		p.onState()
	})
	deadline := p.clock.Now().Add(timeout)
	remaining := func() time.Duration { return max(0, p.clock.Until(deadline)) }
	p.calls.Drain(remaining)

	expired := p.clock.NewTimer(timeout)
	defer expired.Stop()
	ticker := p.clock.NewTicker(countdown)
	defer ticker.Stop()
	p.log.InfoContext(ctx, "draining", "calls", p.calls.Count(), "timeout", timeout)
	for {
		// In this order: an offer becomes a call before it stops being counted as an offer.
		offering, calls := p.offering.Load(), p.calls.Count()
		if offering == 0 && calls == 0 {
			p.log.InfoContext(ctx, "drained", "left", remaining())
			return
		}
		select {
		case <-p.ended:
		case <-ticker.Chan():
			p.log.InfoContext(ctx, "draining", "calls", p.calls.Count(), "left", remaining())
		case <-expired.Chan():
			p.log.WarnContext(ctx, "drain ran out of time; calls will be cut", "sessions", p.calls.Sessions())
			return
		case <-ctx.Done():
			p.log.WarnContext(ctx, "drain given up; calls will be cut", "sessions", p.calls.Sessions(), "cause", context.Cause(ctx))
			return
		}
	}
}

// wakeDrain has a drain look again.
func (p *Pod) wakeDrain() {
	select {
	case p.ended <- struct{}{}:
	default: // it has yet to look at an earlier end
	}
}
