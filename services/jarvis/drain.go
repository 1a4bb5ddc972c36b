package jarvis

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/services/wire"
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
	ctx, span := p.traces.Cause(ctx, wire.SpanDrain)
	defer span.End()
	p.log.InfoContext(ctx, "draining", "sessions", p.owns(), "calls", p.calls.Count(), "timeout", timeout)
	last := time.Duration(0)
	if p.handoff != nil { // the last try is part of it
		last = min(lastTry, timeout/2)
		timeout -= last
	}
	deadline := p.clock.Now().Add(timeout)
	p.deadline.CompareAndSwap(nil, &deadline)
	p.calls.Drain(p.remaining)

	expired := p.clock.NewTimer(timeout)
	defer expired.Stop()
	ticker := p.clock.NewTicker(countdown)
	defer ticker.Stop()
	leaving, stop := context.WithCancel(ctx)
	gone := p.leave(leaving)
	defer func() {
		stop()
		<-gone
		p.leaveRest(ctx, last)
	}()
	moving := gone
	for {
		// In this order: an offer becomes a call before it stops being counted as an offer.
		offering, calls := p.offering.Load(), p.calls.Count()
		if offering == 0 && calls == 0 && moving == nil {
			p.log.InfoContext(ctx, "drained", "left", p.remaining())
			return
		}
		select {
		case <-p.ended:
		case <-moving:
			moving = nil
		case <-ticker.Chan():
			p.log.InfoContext(ctx, "draining", "sessions", p.owns(), "calls", p.calls.Count(), "left", p.remaining())
		case <-expired.Chan():
			p.log.WarnContext(ctx, "drain ran out of time", "sessions", p.owns(), "calls_cut", p.calls.Sessions())
			return
		case <-ctx.Done():
			p.log.WarnContext(ctx, "drain given up", "sessions", p.owns(), "calls_cut", p.calls.Sessions(), "cause", context.Cause(ctx))
			return
		}
	}
}

// remaining is how long the drain may last; 0 before and after.
func (p *Pod) remaining() time.Duration {
	deadline := p.deadline.Load()
	if deadline == nil {
		return 0
	}
	return max(0, p.clock.Until(*deadline))
}

// drainLeft is what the drain has left to do; nil while there is none.
func (p *Pod) drainLeft() *jarvisv1.Drain {
	if !p.isDraining() {
		return nil
	}
	return &jarvisv1.Drain{Remaining: durationpb.New(p.remaining()), Sessions: uint32(p.owns()), Calls: uint32(p.calls.Count())}
}

// wakeDrain has a drain look again.
func (p *Pod) wakeDrain() {
	select {
	case p.ended <- struct{}{}:
	default: // it has yet to look at an earlier end
	}
}
