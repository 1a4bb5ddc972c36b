package jarvis

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"go.opentelemetry.io/otel/trace"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/services/jarvis/call"
	"github.com/smaran-v2/smaran/services/jarvis/handoff"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/wire"
)

const (
	// migrateEvery keeps the callers of all pods together from dialling at once: a set-up costs some milliseconds of a core, and media
	// that is late for it is heard.
	migrateEvery = 20 * time.Millisecond
	// migrateAgain is after how long a caller that has not moved is told again, and calls are looked at that have come since.
	migrateAgain = 2 * time.Second
)

// standby places the second call of a session that is still another pod's.
func (p *Pod) standby(ctx context.Context, id session.ID, sdp string) (call.Answered, error) {
	p.offering.Add(1)
	defer p.offered()
	switch {
	case p.handoff == nil:
		return call.Answered{}, ErrNoHandoff
	case p.isDraining():
		return call.Answered{}, ErrDraining
	}
	if err := p.awaitWeights(ctx); err != nil {
		return call.Answered{}, err
	}
	answered, err := p.calls.Standby(ctx, id, sdp)
	p.settlePin(id)
	if err != nil {
		return call.Answered{}, fmt.Errorf("call on standby: %w", err)
	}
	return answered, nil
}

// takeOver takes the session of a call on standby from its owner, now that the caller is heard here.
func (p *Pod) takeOver(ctx context.Context, id session.ID) bool {
	settled, err := p.handoff.Settle(ctx, id, handoff.Need{Call: true, Standby: true})
	if err != nil || settled.Owner != nil {
		p.log.WarnContext(ctx, "a call on standby did not get its session", session.LogKey, id, "error", err)
		return false
	}
	p.calls.Resume(id, settled.Speech)
	p.settlePin(id)
	return true
}

// MigrateCalls tells the callers whose sessions the mesh gives to other pods to move there, one after another, and again those who have
// not, until ctx ends. Others it tells nothing any more.
func (p *Pod) MigrateCalls(ctx context.Context) {
	for {
		p.migrateCalls(ctx)
		if !p.pause(ctx, migrateAgain) {
			return
		}
	}
}

func (p *Pod) migrateCalls(ctx context.Context) {
	moves := p.handoff.CallsToMove()
	if len(moves) > 0 {
		var cause trace.Span
		ctx, cause = p.traces.Cause(ctx, wire.SpanMoves)
		defer cause.End()
	}
	going := map[session.ID]bool{}
	ready := p.handoff.Ready(ctx, moves) // to the others it can't go now: the call goes on here
	if ctx.Err() != nil {                // who is told anew knows better whose calls stay
		return
	}
	for i, wait := range waits(len(ready), p.migrateTime(len(ready))) {
		m := ready[i]
		if !p.pause(ctx, wait) {
			return
		}
		kept, ok := p.sessions.Find(m.Session)
		if !ok || kept.Owner != "" {
			continue
		}
		going[m.Session] = true
		_, span := p.traces.Start(ctx, m.Session, wire.SpanMigrate, wire.AttributeTo.String(m.To.Pod))
		_ = p.calls.Migrate(m.Session, &jarvisv1.Migrate{Pod: m.To.Pod, Address: m.To.Address, Epoch: kept.Epoch + 1}) // it may have ended
		span.End()
	}
	for _, id := range p.calls.Sessions() {
		if !going[id] {
			_ = p.calls.Migrate(id, nil)
		}
	}
}

// migrateTime is how long it takes to tell so many callers. The other pods which had sessions are taken to move theirs too.
func (p *Pod) migrateTime(calls int) time.Duration {
	within := wire.MigrateWithin
	if p.isDraining() {
		within = min(within, p.remaining()/2) // they have to arrive as well
	}
	return min(migrateEvery*time.Duration(calls*p.handoff.Rings.Givers()), within)
}

// waits are n pauses that come to an end at random moments within d.
func waits(n int, d time.Duration) []time.Duration {
	out := make([]time.Duration, n)
	for i := range out {
		out[i] = time.Duration(rand.Int64N(int64(d) + 1))
	}
	slices.Sort(out)
	for i := n - 1; i > 0; i-- {
		out[i] -= out[i-1]
	}
	return out
}

// pause waits, and says false when ctx ends first.
func (p *Pod) pause(ctx context.Context, d time.Duration) bool {
	timer := p.clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.Chan():
		return true
	case <-ctx.Done():
		return false
	}
}
