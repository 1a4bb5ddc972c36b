package jarvis

import (
	"context"
	"errors"
	"time"

	"connectrpc.com/connect"

	"github.com/smaran-v2/smaran/services/jarvis/handoff"
	"github.com/smaran-v2/smaran/services/session"
)

const (
	// leaveAgain is how often a pod that drains looks for sessions that have become free to go.
	leaveAgain = 100 * time.Millisecond
	// lastTry is the end of a drain, in which what is left is handed over, calls or not: copies are there already. It is half of a short one.
	lastTry = time.Second
)

// owns is how many sessions the pod owns, or keeps where it hands none over.
func (p *Pod) owns() int {
	if p.handoff == nil {
		return p.sessions.Len()
	}
	return p.handoff.Owns()
}

// leave hands over the sessions that are not on a call, and those whose calls have ended, until none is left, there is nobody to take
// them, or ctx ends. Then it closes gone, at once where the pod hands nothing over.
func (p *Pod) leave(ctx context.Context) (gone chan struct{}) {
	gone = make(chan struct{})
	if p.handoff == nil {
		close(gone)
		return gone
	}
	go func() {
		defer close(gone)
		again := p.clock.NewTicker(leaveAgain)
		defer again.Stop()
		for {
			failed := p.handoff.Leave(ctx, false)
			if p.handoff.Owns() == 0 || nobody(failed) {
				return
			}
			select {
			case <-again.Chan():
			case <-ctx.Done():
				return
			}
		}
	}()
	return gone
}

// nobody is whether no pod takes anything: there is none, or all are leaving too. One that can't be reached may be there again.
func nobody(failed map[session.ID]error) bool {
	for _, err := range failed {
		leaving := connect.CodeOf(err) == connect.CodeUnavailable && connect.IsWireError(err) // it said so itself
		if !leaving && !errors.Is(err, handoff.ErrNobody) {
			return false
		}
	}
	return len(failed) > 0
}

// leaveRest hands over what is left, calls or not, and names each session that could not go. A pod that hands nothing over names those
// whose calls are cut.
func (p *Pod) leaveRest(ctx context.Context, within time.Duration) {
	for id, err := range p.notGone(ctx, within) {
		p.log.WarnContext(ctx, "session not handed over", session.LogKey, id, "turn", p.served(id).GetTurn(), "on_call", p.calls.Holds(id), "reason", err)
	}
}

func (p *Pod) notGone(ctx context.Context, within time.Duration) map[session.ID]error {
	if p.handoff != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
		defer cancel()
		return p.handoff.Leave(ctx, true)
	}
	rest := map[session.ID]error{}
	for _, id := range p.calls.Sessions() {
		rest[id] = ErrNoHandoff
	}
	return rest
}
