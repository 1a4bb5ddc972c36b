package handoff

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/proto/jarvis/v1/jarvisv1connect"
	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/jarvis/state"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/telemetry"
	"github.com/smaran-v2/smaran/services/wire"
)

// Errors of Settle besides state's.
var (
	// ErrLeaving: this pod drains and takes nothing any more, and there is no other to pass the request on to.
	ErrLeaving = errors.New("the pod is leaving")
	// ErrNotGranted: the session's owner can't be asked, so that a call on standby does not get it.
	ErrNotGranted = errors.New("the session was not granted")
)

// Need is what a request wants of a session.
type Need struct {
	// Seen is the highest epoch that the caller knows; 0 is none. Last is where its conversation stands; zero is not known.
	Seen uint64
	Last state.Point
	// Forwarded: another pod passed the request on. It is passed on no further.
	Forwarded bool
	// Call: the request brings the session's call here. Lost names the pod whose loss is the reason: the caller may be wrong, so it is
	// asked, but it has to answer at once.
	Call bool
	Lost string
	// Standby, with Call: the call is a second one, and the first goes on where the session can't be had.
	Standby bool
	// Find: the request is about a session that is somewhere. Where it is not, this pod does not begin it.
	Find bool
}

// Settled is where a request is served.
type Settled struct {
	// Owner serves it; nil is this pod, which then owns the session, unless Need.Find.
	Owner *Owner
	// Speech is what the agent was about to say on the call that ended elsewhere; nil where none did.
	Speech *jarvisv1.Speech
}

const (
	// stepsAtLeast of looking for an owner, and stepsPerPod more for each that is listed: one that is silent is asked twice.
	stepsAtLeast, stepsPerPod = 8, 2
	// settleTime bounds all of them. Ten frozen pods use it up.
	settleTime = 5 * time.Second
)

// Settle finds out where a request for a session is served, and makes this pod the session's owner where that is here.
//
// It fails with state.ErrUnknown or a *state.MovedError where a request that was passed on is not for this pod, with ErrLeaving or
// ErrNotGranted, with state's other errors, or as ctx does.
func (h *Handoff) Settle(ctx context.Context, id session.ID, need Need) (Settled, error) {
	disputed := h.disputed(id, need)
	if h.owned(id, need.Seen) && !disputed {
		return Settled{}, nil
	}
	need.Last = state.Point{} // that was all of it, and those who stand elsewhere ask for the same
	result := h.flights.DoChan(fmt.Sprintf("%s/%+v/%t", id, need, disputed), func() (any, error) {
		// Others may wait for the same, so that it does not end with the first one's request.
		ctx, cancel := context.WithTimeout(session.NewContext(context.WithoutCancel(ctx), id), settleTime)
		defer cancel()
		ctx, span := h.Traces.Start(ctx, id, wire.SpanSettle)
		settled, err := h.settle(ctx, id, need, disputed)
		telemetry.End(span, err)
		return settled, err
	})
	select {
	case <-ctx.Done():
		return Settled{}, context.Cause(ctx)
	case r := <-result:
		settled, _ := r.Val.(Settled)
		return settled, r.Err
	}
}

// disputed is whether another pod seems to have the session under the epoch of this pod's own title: the caller knows that epoch, and
// comes from a conversation that this pod has not had. Each side of a partition may have taken the same one, and so may a process that
// was started anew and asked by somebody who knew of none.
func (h *Handoff) disputed(id session.ID, need Need) bool {
	kept, ok := h.Store.Find(id)
	return ok && kept.Owner == "" && kept.Epoch > 0 && kept.Epoch == need.Seen &&
		need.Last != state.Point{} && !h.Store.Knows(id, need.Last)
}

// search is one look for a session's owner.
type search struct {
	need Need
	// asked are addresses that need not be asked again, gone those of pods that are not there.
	asked, gone map[string]bool
	// silent are those that did not answer in time, once.
	silent map[string]bool
	// named are owners that other pods named, the latest first.
	named []string
	// disputed: this pod owns the session, but everyone is asked whether another one does too. rival: one does.
	disputed, rival bool
}

func (h *Handoff) settle(ctx context.Context, id session.ID, need Need, disputed bool) (Settled, error) {
	look := &search{need: need, asked: map[string]bool{h.Self.Address: true}, gone: map[string]bool{}, silent: map[string]bool{}, disputed: disputed}
	for range stepsAtLeast + stepsPerPod*len(h.Rings.Listed()) {
		if h.owned(id, look.need.Seen) && !look.disputed {
			return Settled{}, nil
		}
		candidate, ok := h.candidate(id, look)
		if !ok || ctx.Err() != nil {
			break
		}
		settled, err := h.take(ctx, id, candidate, look)
		if err == nil {
			return settled, h.passable(settled, need)
		}
		if settled, err := h.learn(ctx, id, candidate, look, err); settled != nil || err != nil {
			return deref(settled), err
		}
	}
	return h.unfound(ctx, id, look)
}

func deref(s *Settled) Settled {
	if s == nil {
		return Settled{}
	}
	return *s
}

// passable refuses to pass on what was passed on already.
func (h *Handoff) passable(s Settled, need Need) error {
	if s.Owner != nil && need.Forwarded {
		return &state.MovedError{Title: state.Title{Owner: s.Owner.Pod}}
	}
	return nil
}

// candidate is the next pod to ask: the owner that others named, the one that this pod knows, who had the session before the endpoints
// changed, and, where the caller knows of an owner that nobody here does, everyone.
func (h *Handoff) candidate(id session.ID, look *search) (endpoints.Endpoint, bool) {
	kept, _ := h.Store.Find(id)
	var all []endpoints.Endpoint
	for _, name := range append(slices.Clone(look.named), kept.Owner) {
		if e, ok := h.Rings.Named(name); ok && name != "" {
			all = append(all, e)
		}
	}
	all = append(all, h.Rings.Former(id)...)
	if look.need.Seen > kept.Epoch || look.disputed {
		all = append(all, h.Rings.Listed()...)
	}
	for _, e := range all {
		if !look.asked[e.Address] {
			return e, true
		}
	}
	return endpoints.Endpoint{}, false
}

// errPassedOver: the pod's title, or the one that it gave, is not the highest: its owner is to be sought elsewhere.
var errPassedOver = errors.New("the pod has been passed over")

// take gets the session from a pod, in two steps where there is no copy yet: that pod goes on serving while what the session needs is
// loaded here. It fails where that pod does not have the session, and with errPassedOver where the caller knows that it has no more.
func (h *Handoff) take(ctx context.Context, id session.ID, asked endpoints.Endpoint, look *search) (Settled, error) {
	need, from := look.need, h.reach(asked)
	want := h.wanted(id, from, look)
	if need.Lost != "" && from.Pod == need.Lost {
		if _, err := h.claim(ctx, id, from, jarvisv1.Want_WANT_LOCATION, lostTime); err != nil {
			return Settled{}, err
		}
	}
	patience := claimTime
	if want == jarvisv1.Want_WANT_SESSION_AND_CALL {
		patience = callTime
	}
	answer, err := h.claim(ctx, id, from, want, patience)
	if err != nil {
		return Settled{}, err
	}
	theirs := readTitle(answer.GetTitle())
	if theirs.Incarnation == h.Self.Incarnation {
		return h.given(ctx, id, answer, look)
	}
	kept, ok := h.Store.Find(id)
	if mine := (state.Title{Epoch: kept.Epoch, Incarnation: h.Self.Incarnation}); ok && kept.Owner == "" && kept.Epoch > 0 {
		if mine.Above(theirs) {
			look.rival = true
			return Settled{}, h.prevail(ctx, id, asked)
		}
		h.passedOver(id, mine, theirs)
	}
	if want == jarvisv1.Want_WANT_COPY {
		h.adopt(id, answer)
	}
	if theirs.Epoch < need.Seen {
		return Settled{}, errPassedOver
	}
	return Settled{Owner: from}, nil
}

// given takes what an owner gave, unless the caller knows of a higher title. If it knows of this epoch, which nobody can have had from
// here, another process may have it too.
func (h *Handoff) given(ctx context.Context, id session.ID, answer *jarvisv1.ClaimResponse, look *search) (Settled, error) {
	had := h.owned(id, answer.GetTitle().GetEpoch())
	if err := h.granted(ctx, id, answer); err != nil {
		return Settled{}, err
	}
	switch epoch := answer.GetTitle().GetEpoch(); {
	case epoch < look.need.Seen, had && look.disputed:
		return Settled{}, errPassedOver
	case epoch == look.need.Seen && !had:
		look.disputed = true
		return Settled{}, errPassedOver
	}
	return Settled{Speech: answer.GetSpeech()}, nil
}

// prevail has a pod know that this one's title is above its own: what it answered since is not part of the conversation. It fails with
// errPassedOver, or as the message does.
func (h *Handoff) prevail(ctx context.Context, id session.ID, over endpoints.Endpoint) error {
	snap, title, err := h.Store.Snapshot(id)
	if err != nil || title.Owner != "" {
		return state.ErrUnknown // look again
	}
	title.Owner, title.Incarnation = h.Self.Name, h.Self.Incarnation
	if _, err := h.send(ctx, Move{Session: id, To: over}, title, snap); err != nil {
		return err
	}
	return errPassedOver
}

// wanted is the session itself only where the mesh gives it to this pod, or its call is here, so that pods do not take it from one
// another in turn.
func (h *Handoff) wanted(id session.ID, from *Owner, look *search) jarvisv1.Want {
	kept, ok := h.Store.Find(id)
	switch copied := ok && kept.Begun && kept.Owner == from.Pod; {
	case look.disputed:
		return jarvisv1.Want_WANT_LOCATION
	case look.need.Call:
		return jarvisv1.Want_WANT_SESSION_AND_CALL
	case !h.mine(id), copied && kept.Loading > 0:
		return jarvisv1.Want_WANT_LOCATION
	case !copied:
		return jarvisv1.Want_WANT_COPY
	}
	return jarvisv1.Want_WANT_SESSION
}

func (h *Handoff) claim(ctx context.Context, id session.ID, from *Owner, want jarvisv1.Want, patience time.Duration) (*jarvisv1.ClaimResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	message := &jarvisv1.ClaimRequest{Pod: h.Self.Name, Incarnation: h.Self.Incarnation, Want: want}
	if kept, ok := h.Store.Find(id); ok && kept.Begun {
		message.Have = kept.At.Message()
	}
	return Send(ctx, from, message, nil, jarvisv1connect.JarvisServiceClient.Claim)
}

// granted takes what the owner gave.
func (h *Handoff) granted(ctx context.Context, id session.ID, answer *jarvisv1.ClaimResponse) error {
	var latest *state.Snapshot
	if m := answer.GetSnapshot(); m != nil {
		read, err := state.ReadSnapshot(m)
		if err != nil {
			return err
		}
		latest = &read
	}
	if _, err := h.Store.Own(id, answer.GetTitle().GetEpoch(), latest); err != nil {
		return err
	}
	h.Metrics.handoff(claimed)
	h.Log.DebugContext(ctx, "session claimed", session.LogKey, id, "epoch", answer.GetTitle().GetEpoch())
	return nil
}

// adopt keeps the copy that came in place of the session. Where that can't be, the owner goes on serving it.
func (h *Handoff) adopt(id session.ID, answer *jarvisv1.ClaimResponse) {
	snap, err := state.ReadSnapshot(answer.GetSnapshot())
	if err == nil {
		title := answer.GetTitle()
		_, err = h.Store.Adopt(id, snap, readTitle(title))
	}
	if err != nil {
		h.Log.Debug("copy not kept", session.LogKey, id, "error", err)
		return
	}
	h.Metrics.handoff(pulled)
}

// learn makes something of a pod's refusal, or of its silence. It ends the search if it returns anything.
func (h *Handoff) learn(ctx context.Context, id session.ID, asked endpoints.Endpoint, look *search, failure error) (*Settled, error) {
	h.Log.DebugContext(ctx, "session not there", session.LogKey, id, "pod", asked.Pod, "error", failure)
	var giving *state.GivingError
	known := Named(failure)
	switch {
	case errors.As(failure, &giving):
		return nil, await(ctx, giving.Ended)
	case errors.Is(failure, errPassedOver):
		look.asked[asked.Address] = true
		return nil, nil
	case errors.Is(failure, state.ErrStaleEpoch), errors.Is(failure, state.ErrUnknown):
		return nil, nil // things have changed here meanwhile: look again
	case errors.Is(failure, state.ErrFull), errors.Is(failure, state.ErrSnapshot):
		return nil, failure
	case known == nil && unreachable(failure):
		look.asked[asked.Address], look.gone[asked.Address] = true, true
		return nil, nil
	case known == nil: // it may be late, or the answer lost: it is asked once more
		if look.silent[asked.Address] || asked.Pod == look.need.Lost {
			look.asked[asked.Address], look.gone[asked.Address] = true, true
		}
		look.silent[asked.Address] = true
		return nil, nil
	}
	look.asked[asked.Address] = true
	kept, ok := h.Store.Find(id)
	if ok && kept.Owner == asked.Pod && kept.Epoch > known.GetEpoch() {
		return h.remind(ctx, id, asked, kept, look.need)
	}
	if known.GetOwner() != "" {
		look.named = append([]string{known.GetOwner()}, look.named...)
		look.need.Seen = max(look.need.Seen, known.GetEpoch())
	}
	return nil, nil
}

// remind gives a pod again what this one gave it, and it has not taken yet: the answer is on its way, or lost.
func (h *Handoff) remind(ctx context.Context, id session.ID, to endpoints.Endpoint, kept state.Kept, need Need) (*Settled, error) {
	snap, title, err := h.Store.Snapshot(id)
	if err != nil || title != kept.Title {
		return nil, nil // look again
	}
	switch _, err := h.send(ctx, Move{Session: id, To: to}, title, snap); {
	case err != nil && Named(err) != nil: // it is another process by now, or knows of a higher title: look on
		return nil, nil
	case err != nil:
		return nil, err
	}
	settled := Settled{Owner: h.reach(to)}
	return &settled, h.passable(settled, need)
}

// unfound is what becomes of a session that no pod has: it is new, or its owner is gone.
func (h *Handoff) unfound(ctx context.Context, id session.ID, look *search) (Settled, error) {
	if look.disputed && h.owned(id, look.need.Seen) {
		return h.undisputed(ctx, id, look)
	}
	switch owner, ok := h.Rings.Next(id, h.Leaving()); {
	case ctx.Err() != nil:
		return Settled{}, context.Cause(ctx)
	case look.need.Standby:
		return Settled{}, ErrNotGranted
	case look.need.Call && !h.Leaving(), h.mine(id):
	case ok && owner.Address != h.Self.Address && !look.gone[owner.Address]:
		settled := Settled{Owner: h.reach(owner)}
		return settled, h.passable(settled, look.need)
	case h.Leaving():
		return Settled{}, ErrLeaving
	}
	if look.need.Find || h.restore(ctx, id, look.need.Seen) {
		return Settled{}, nil
	}
	epoch, err := h.Store.Mint(id, look.need.Seen)
	if err != nil {
		return Settled{}, err
	}
	if len(look.asked) > 1 {
		h.Metrics.handoff(minted)
		h.Log.InfoContext(ctx, "owner by its own word", session.LogKey, id, "epoch", epoch, "asked", len(look.asked)-1)
	}
	return Settled{}, nil
}

// undisputed is the end of a search that found nobody with a higher title. Where it did not find the other one either, that was had by a
// process that is gone, and may have been the higher: so this pod goes above it.
func (h *Handoff) undisputed(ctx context.Context, id session.ID, look *search) (Settled, error) {
	if look.rival || ctx.Err() != nil {
		return Settled{}, context.Cause(ctx)
	}
	if h.restore(ctx, id, look.need.Seen) {
		return Settled{}, nil
	}
	epoch, err := h.Store.Mint(id, look.need.Seen+1)
	if err == nil {
		h.Metrics.handoff(minted)
		h.Log.InfoContext(ctx, "owner by its own word", session.LogKey, id, "epoch", epoch, "asked", len(look.asked)-1)
	}
	return Settled{}, err
}

// restore takes a session from the archive, if it is further on there than the copy here.
func (h *Handoff) restore(ctx context.Context, id session.ID, seen uint64) bool {
	if h.Archive == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, archiveTime)
	defer cancel()
	snap, epoch, err := h.Archive.Load(ctx, id)
	if err != nil {
		level := slog.LevelWarn
		if errors.Is(err, state.ErrUnknown) {
			level = slog.LevelDebug
		}
		h.Log.Log(ctx, level, "session not restored from the archive", session.LogKey, id, "error", err)
		return false
	}
	kept, ok := h.Store.Find(id)
	if ok && kept.Begun && (kept.Epoch > epoch || kept.Epoch == epoch && kept.At.Turn >= snap.At.Turn) {
		return false
	}
	if _, err := h.Store.Own(id, max(kept.Epoch, epoch, seen)+1, &snap); err != nil {
		return false
	}
	h.Metrics.handoff(restored)
	h.Log.InfoContext(ctx, "session restored from the archive", session.LogKey, id, "turn", snap.At.Turn)
	return true
}
