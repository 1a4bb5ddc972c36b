package jarvis

import (
	"context"
	"fmt"

	"github.com/smaran-v2/smaran/services/jarvis/call"
	"github.com/smaran-v2/smaran/services/session"
)

// offer places a call and pins its session. A pod that drains refuses also an offer that would replace a call: the caller
// has to move anyway.
func (p *Pod) offer(ctx context.Context, id session.ID, epoch uint64, sdp string) (call.Answered, error) {
	// Counted before the check, so that a drain that this check does not see waits for the call.
	p.offering.Add(1)
	defer p.offered()
	if p.isDraining() {
		return call.Answered{}, ErrDraining
	}
	if err := p.awaitWeights(ctx); err != nil {
		return call.Answered{}, err
	}
	// The calls' own bound is the exact one. Asking first keeps offers to a full pod from pushing sessions out.
	if n := p.calls.Count(); n >= p.maxCalls && !p.calls.Holds(id) {
		return call.Answered{}, fmt.Errorf("%w: %d of %d", call.ErrFull, n, p.maxCalls)
	}
	_, release, err := p.hold(id, epoch)
	if err != nil {
		return call.Answered{}, err
	}
	defer release()
	answered, err := p.calls.Offer(ctx, id, sdp)
	p.settlePin(id)
	return answered, err
}

// acceptable is whether an offer would be answered, as far as that can be known before.
func (p *Pod) acceptable(id session.ID, sdp string) error {
	if p.isDraining() {
		return ErrDraining
	}
	if n := p.calls.Count(); n >= p.maxCalls && !p.calls.Holds(id) {
		return fmt.Errorf("%w: %d of %d", call.ErrFull, n, p.maxCalls)
	}
	return p.calls.Check(sdp)
}

func (p *Pod) offered() {
	p.offering.Add(-1)
	p.wakeDrain()
}
