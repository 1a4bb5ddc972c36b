package handoff

import (
	"context"
	"errors"
	"fmt"
	"time"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/services/jarvis/state"
	"github.com/smaran-v2/smaran/services/session"
)

// ErrClaim is a claim that can't be understood. The text says what was expected.
var ErrClaim = errors.New("bad claim")

// Claim answers a pod that asks for a session. It is given once; the process that has it already is told so again, as the answer may
// have been lost.
//
// Errors: ErrClaim; state.ErrUnknown or a *state.MovedError where the session is not this pod's; ctx's.
func (h *Handoff) Claim(ctx context.Context, id session.ID, req *jarvisv1.ClaimRequest) (*jarvisv1.ClaimResponse, error) {
	if req.GetPod() == "" || req.GetIncarnation() == "" || req.GetWant() == jarvisv1.Want_WANT_UNSPECIFIED {
		return nil, fmt.Errorf("%w: expected what the pod wants, its name and its incarnation", ErrClaim)
	}
	for {
		if !h.gives(id, req) {
			return h.lend(id, req)
		}
		giving, err := h.Store.Give(id)
		var other *state.GivingError
		switch {
		case errors.As(err, &other):
			if err := await(ctx, other.Ended); err != nil {
				return nil, err
			}
			continue
		case err != nil:
			return h.lend(id, req) // or refuse
		}
		return h.give(ctx, giving, req)
	}
}

// gives is whether the session may go now. Without its call it does not while it has one, and not before this pod too knows endpoints
// that give it to another: else two pods would take it from one another for as long as they differ.
func (h *Handoff) gives(id session.ID, req *jarvisv1.ClaimRequest) bool {
	switch req.GetWant() {
	case jarvisv1.Want_WANT_SESSION_AND_CALL:
		return true
	case jarvisv1.Want_WANT_SESSION:
		return !h.Calls.Holds(id) && !h.mine(id)
	}
	return false
}

func (h *Handoff) give(ctx context.Context, giving *state.Giving, req *jarvisv1.ClaimRequest) (*jarvisv1.ClaimResponse, error) {
	select {
	case <-giving.Settled():
	default:
		if req.GetWant() != jarvisv1.Want_WANT_SESSION_AND_CALL { // it is being served: that is no time to move
			giving.Cancel()
			return h.lend(giving.Session(), req)
		}
		if err := await(ctx, giving.Settled()); err != nil {
			giving.Cancel()
			return nil, err
		}
	}
	title, snap := giving.Next(req.GetPod(), req.GetIncarnation())
	answer := h.answer(title, snap, req)
	if req.GetWant() == jarvisv1.Want_WANT_SESSION_AND_CALL {
		answer.Speech = h.Calls.Moved(giving.Session())
	}
	giving.Finish(title)
	h.Metrics.handoff(given)
	h.Log.DebugContext(ctx, "session given", session.LogKey, giving.Session(), "to", req.GetPod(), "epoch", title.Epoch)
	return answer, nil
}

// lend answers with what is here, under the title as it is. It refuses where that is another process' than the asking one's.
func (h *Handoff) lend(id session.ID, req *jarvisv1.ClaimRequest) (*jarvisv1.ClaimResponse, error) {
	snap, title, err := h.Store.Snapshot(id)
	switch {
	case err != nil:
		return nil, err
	case title.Epoch == 0: // nobody's yet
		return nil, state.ErrUnknown
	case title.Owner == "":
		title.Owner, title.Incarnation = h.Self.Name, h.Self.Incarnation
	case title.Incarnation != req.GetIncarnation():
		return nil, &state.MovedError{Title: title}
	}
	return h.answer(title, snap, req), nil
}

func (h *Handoff) answer(title state.Title, snap state.Snapshot, req *jarvisv1.ClaimRequest) *jarvisv1.ClaimResponse {
	res := &jarvisv1.ClaimResponse{Title: titleMessage(title)}
	have := req.GetHave()
	if req.GetWant() != jarvisv1.Want_WANT_LOCATION && (have == nil || state.ReadPoint(have) != snap.At) {
		res.Snapshot = snap.Message()
	}
	return res
}

// Receive takes a copy that another pod sent, or the session itself, and returns once it can be served here without loading.
//
// Errors: ErrLeaving, state.ErrSnapshot, state's, or ctx's.
func (h *Handoff) Receive(ctx context.Context, id session.ID, req *jarvisv1.HandoffRequest) (*jarvisv1.HandoffResponse, error) {
	if h.Leaving() {
		return nil, ErrLeaving
	}
	snap, err := state.ReadSnapshot(req.GetSnapshot())
	if err != nil {
		return nil, err
	}
	loading, err := h.keep(id, snap, req.GetTitle())
	if err != nil {
		return nil, err
	}
	h.Metrics.handoff(received)
	ready := h.Clock.NewTimer(loading)
	defer ready.Stop()
	select {
	case <-ready.Chan():
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	return &jarvisv1.HandoffResponse{Incarnation: h.Self.Incarnation}, nil
}

func (h *Handoff) keep(id session.ID, snap state.Snapshot, m *jarvisv1.Title) (loading time.Duration, err error) {
	title := readTitle(m)
	switch {
	case title.Epoch == 0 || title.Owner == "" || title.Incarnation == "":
		return 0, fmt.Errorf("%w: its title is incomplete", state.ErrSnapshot)
	case title.Incarnation == h.Self.Incarnation:
		loading, err = h.Store.Inherit(id, title.Epoch, &snap)
	case title.Owner == h.Self.Name: // for the process that was here before
		return 0, state.ErrUnknown
	default:
		loading, err = h.Store.Adopt(id, snap, title)
	}
	if errors.Is(err, state.ErrStaleEpoch) || errors.Is(err, state.ErrOwned) {
		return 0, h.notOwned(id) // who sent it learns of the higher title
	}
	return loading, err
}

func await(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
