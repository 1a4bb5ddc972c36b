package handoff

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"connectrpc.com/connect"
	"golang.org/x/sync/errgroup"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/proto/jarvis/v1/jarvisv1connect"
	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/jarvis/state"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/telemetry"
	"github.com/smaran-v2/smaran/services/wire"
)

// receipt is what a pod has acknowledged of a session.
type receipt struct {
	address, incarnation string
	at                   state.Point
}

// Prepare sends a copy of each session to the pod that the endpoints of the request give it to, those on a call first, and returns when
// every one is acknowledged or has failed. Called again, it sends what is missing or has gone on since.
//
// It fails with ErrHosts. Where ctx ends early, what is missing has failed.
func (h *Handoff) Prepare(ctx context.Context, req *jarvisv1.PrepareRequest) (*jarvisv1.PrepareResponse, error) {
	own, next := h.own(), readHosts(req.GetHosts())
	h.prune(own, next)
	moves, err := h.Rings.Moves(next, own)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrHosts, err)
	}
	slices.SortStableFunc(moves, func(a, b Move) int {
		return cmp.Compare(rank(h.Calls.Holds(a.Session)), rank(h.Calls.Holds(b.Session)))
	})
	out := &jarvisv1.PrepareResponse{Moving: uint32(len(moves)), Failed: map[string]uint32{}}
	for _, err := range each(ctx, moves, h.push) {
		if err == nil {
			out.Sent++
		} else {
			out.Failed[reason(err)]++
		}
	}
	return out, nil
}

func rank(onCall bool) int {
	if onCall {
		return 0
	}
	return 1
}

// each does something for all moves, some at a time, and returns the error of each.
func each(ctx context.Context, moves []Move, do func(context.Context, Move) error) map[session.ID]error {
	results := make(map[session.ID]error, len(moves))
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(pushesAtOnce)
	for _, m := range moves {
		group.Go(func() error {
			err := do(ctx, m)
			mu.Lock()
			defer mu.Unlock()
			results[m.Session] = err
			return nil
		})
	}
	_ = group.Wait() // each has its own result
	return results
}

// Ready sends the copies of moves, and returns the moves whose next owner has one then.
func (h *Handoff) Ready(ctx context.Context, moves []Move) []Move {
	failed := each(ctx, moves, h.push)
	return slices.DeleteFunc(moves, func(m Move) bool { return failed[m.Session] != nil })
}

// own are the sessions that this pod owns.
func (h *Handoff) own() []session.ID {
	var ids []session.ID
	for _, kept := range h.Store.List() {
		if kept.Owner == "" && kept.Epoch > 0 {
			ids = append(ids, kept.ID)
		}
	}
	return ids
}

// prune forgets the receipts of sessions that this pod does not own, and of pods that are gone.
func (h *Handoff) prune(own []session.ID, next []endpoints.Endpoint) {
	there := map[string]bool{}
	for _, e := range append(h.Rings.Listed(), next...) {
		there[e.Address] = true
	}
	owned := make(map[session.ID]bool, len(own))
	for _, id := range own {
		owned[id] = true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, r := range h.sent {
		if !owned[id] || !there[r.address] {
			delete(h.sent, id)
		}
	}
}

// push sends one copy, unless the pod has it as it is.
func (h *Handoff) push(ctx context.Context, m Move) error {
	snap, title, err := h.Store.Snapshot(m.Session)
	switch {
	case err != nil, title.Owner != "":
		return nil // it was dropped or given away meanwhile
	case h.has(m, snap.At):
		return nil
	}
	title.Owner, title.Incarnation = h.Self.Name, h.Self.Incarnation
	ctx, span := h.Traces.Start(ctx, m.Session, wire.SpanCopy, wire.AttributeTo.String(m.To.Pod))
	incarnation, err := h.send(ctx, m, title, snap)
	telemetry.End(span, err)
	if err != nil {
		return err
	}
	h.mu.Lock()
	h.sent[m.Session] = receipt{address: m.To.Address, incarnation: incarnation, at: snap.At}
	h.mu.Unlock()
	h.Metrics.handoff(sent)
	return nil
}

// has is whether the pod has acknowledged a copy that stands there.
func (h *Handoff) has(m Move, at state.Point) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	got, ok := h.sent[m.Session]
	return ok && got.address == m.To.Address && got.at == at
}

// forget drops a receipt that is not true any more.
func (h *Handoff) forget(id session.ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.sent, id)
}

func (h *Handoff) send(ctx context.Context, m Move, title state.Title, snap state.Snapshot) (incarnation string, err error) {
	ctx, cancel := context.WithTimeout(session.NewContext(ctx, m.Session), pushTime)
	defer cancel()
	message := &jarvisv1.HandoffRequest{Title: titleMessage(title), Snapshot: snap.Message()}
	res, err := Send(ctx, h.reach(m.To), message, nil, jarvisv1connect.JarvisServiceClient.Handoff)
	if err == nil {
		return res.GetIncarnation(), nil
	}
	if known := Named(err); known != nil && known.GetOwner() != "" {
		h.passedOver(m.Session, title, readTitle(known))
	}
	h.Metrics.handoff(failed)
	h.Log.DebugContext(ctx, "session not sent", session.LogKey, m.Session, "pod", m.To.Pod, "error", err)
	return "", err
}

// passedOver gives way to a higher title.
func (h *Handoff) passedOver(id session.ID, mine, higher state.Title) {
	if !higher.Above(mine) || higher.Incarnation == h.Self.Incarnation {
		return
	}
	h.Store.GiveWay(id, higher)
	h.Calls.Moved(id)
	h.Log.Warn("another pod owns the session", session.LogKey, id, "owner", higher.Owner, "epoch", higher.Epoch)
}

// reason names an error of a push, for counting.
func reason(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return connect.CodeDeadlineExceeded.String()
	}
	return connect.CodeOf(err).String()
}
