package handoff

import (
	"context"
	"errors"
	"slices"

	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/jarvis/state"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/telemetry"
	"github.com/smaran-v2/smaran/services/wire"
)

var (
	// ErrNobody: no other pod is in rotation.
	ErrNobody = errors.New("there is no other pod to take it")
	// errNoReceipt: the next owner never acknowledged a copy, so that the session can't be given to it.
	errNoReceipt = errors.New("the next owner has no copy")
	// errOtherProcess: the next owner was started anew since it acknowledged its copy.
	errOtherProcess = errors.New("the next owner was started anew")
)

// Owns is how many sessions this pod owns.
func (h *Handoff) Owns() int { return len(h.own()) }

// elsewhere are the endpoints in rotation, without this pod if it is leaving.
func (h *Handoff) elsewhere() []endpoints.Endpoint {
	return slices.DeleteFunc(h.Rings.Rotation(), func(e endpoints.Endpoint) bool { return h.Leaving() && e.Address == h.Self.Address })
}

// CallsToMove are the sessions with a call here that this pod owns and the mesh gives to other pods.
func (h *Handoff) CallsToMove() []Move {
	onCall := slices.DeleteFunc(h.own(), func(id session.ID) bool { return !h.Calls.Holds(id) })
	moves, err := h.Rings.Moves(h.elsewhere(), onCall)
	if err != nil {
		return nil // Update would have refused them
	}
	return moves
}

// Leave hands the sessions that this pod owns over to those that have them once it is gone, for good. Those on a call stay, unless calls
// is set. It returns why each of the others could not go; asked again, it tries again.
func (h *Handoff) Leave(ctx context.Context, calls bool) map[session.ID]error {
	own := slices.DeleteFunc(h.own(), func(id session.ID) bool { return !calls && h.Calls.Holds(id) })
	rest := h.elsewhere()
	moves, err := h.Rings.Moves(rest, own)
	if err == nil && len(rest) == 0 {
		err = ErrNobody
	}
	failed := map[session.ID]error{}
	if err != nil {
		for _, id := range own {
			failed[id] = err
		}
		return failed
	}
	for id, err := range each(ctx, moves, h.handOver) {
		var moved *state.MovedError
		if err != nil && !errors.As(err, &moved) && !errors.Is(err, state.ErrUnknown) {
			failed[id] = err
		}
	}
	return failed
}

// handOver gives a session to the pod that has its copy, for good: this pod is about to end. It waits until the session stands still.
func (h *Handoff) handOver(ctx context.Context, m Move) (err error) {
	ctx, span := h.Traces.Start(ctx, m.Session, wire.SpanLeave, wire.AttributeTo.String(m.To.Pod))
	defer func() { telemetry.End(span, err) }()
	if err := h.push(ctx, m); err != nil {
		return err
	}
	h.mu.Lock()
	got, ok := h.sent[m.Session]
	h.mu.Unlock()
	if !ok || got.address != m.To.Address {
		return errNoReceipt
	}
	giving, err := h.Store.Give(m.Session)
	if err != nil {
		return err
	}
	if err := await(ctx, giving.Settled()); err != nil {
		giving.Cancel()
		return err
	}
	title, snap := giving.Next(m.To.Pod, got.incarnation)
	taken, err := h.send(ctx, m, title, snap)
	if err == nil && taken != got.incarnation {
		err = errOtherProcess
	}
	if err != nil { // whether it arrived is not known: the higher title settles it
		h.forget(m.Session)
		giving.TakeBack(title)
		return err
	}
	giving.Finish(title)
	h.Metrics.handoff(given)
	return nil
}
