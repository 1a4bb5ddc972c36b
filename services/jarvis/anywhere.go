package jarvis

import (
	"context"
	"errors"
	"net/http"
	"time"

	"connectrpc.com/connect"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/proto/jarvis/v1/jarvisv1connect"
	"github.com/smaran-v2/smaran/services/jarvis/call"
	"github.com/smaran-v2/smaran/services/jarvis/handoff"
	"github.com/smaran-v2/smaran/services/jarvis/state"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/wire"
)

// NewHandoff makes a pod's handoff, given what the pod keeps, its calls, and whether it drains.
type NewHandoff func(*state.Store, handoff.Calls, func() bool) *handoff.Handoff

// hands fails with ErrNoHandoff at a pod that hands nothing over.
func (p *Pod) hands() error {
	if p.handoff == nil {
		return ErrNoHandoff
	}
	return nil
}

const (
	// maxTurns bounds how often a request follows a session that is on its way from pod to pod.
	maxTurns = 4
	// forwardTime bounds a request that is passed on. A cold answer takes a second.
	forwardTime = 5 * time.Second
)

// answer is a response that says who served it.
type answer[T any] interface {
	*T
	GetServed() *jarvisv1.Served
}

// anywhere does something with a session where it is: here, or at the pod that owns it, which gets the message.
func anywhere[Req, Res any, A answer[Res]](ctx context.Context, p *Pod, id session.ID, need handoff.Need, here func() (*Res, error), message *Req,
	send func(jarvisv1connect.JarvisServiceClient, context.Context, *connect.Request[Req]) (*connect.Response[Res], error),
) (*Res, error) {
	if p.handoff == nil || id == "" {
		return here()
	}
	var last error
	for range maxTurns {
		settled, err := p.handoff.Settle(ctx, id, need)
		if err != nil {
			return nil, err
		}
		var res *Res
		if settled.Owner == nil {
			res, err = here()
		} else {
			res, err = passOn[Req, Res, A](ctx, p, settled.Owner, message, send)
		}
		if err == nil || !moving(ctx, err) {
			return res, err
		}
		last = err
	}
	return nil, last
}

// whereabouts adds to the error about a call that is not here where the session is. Streams are not passed on: who watches goes there.
func (p *Pod) whereabouts(ctx context.Context, id session.ID, err error) error {
	if p.handoff == nil || id == "" || !errors.Is(err, call.ErrNotHeld) {
		return err
	}
	settled, unsettled := p.handoff.Settle(ctx, id, handoff.Need{Find: true})
	if unsettled != nil || settled.Owner == nil {
		return err
	}
	kept, _ := p.sessions.Find(id)
	return &NotHeldError{Owner: settled.Owner.Pod, Address: settled.Owner.Address, Epoch: kept.Epoch}
}

// moving is whether the session was on its way when the request came, so that another try finds it elsewhere. If it is just being given
// away, moving waits for that.
func moving(ctx context.Context, err error) bool {
	var giving *state.GivingError
	var moved *state.MovedError
	var notHeld *NotHeldError
	switch {
	case errors.As(err, &giving):
		select {
		case <-giving.Ended:
			return true
		case <-ctx.Done():
			return false
		}
	case errors.As(err, &notHeld):
		return notHeld.Owner != ""
	}
	return errors.As(err, &moved) || errors.Is(err, state.ErrUnknown) || errors.Is(err, state.ErrReplaced) || handoff.NotServed(err)
}

// passOn sends a message to the session's owner, which serves it or refuses it.
func passOn[Req, Res any, A answer[Res]](ctx context.Context, p *Pod, owner *handoff.Owner, message *Req,
	send func(jarvisv1connect.JarvisServiceClient, context.Context, *connect.Request[Req]) (*connect.Response[Res], error),
) (*Res, error) {
	ctx, cancel := context.WithTimeout(ctx, forwardTime)
	defer cancel()
	res, err := handoff.Send(ctx, owner, message, http.Header{wire.HeaderForwarded: {p.identity.Name}}, send)
	if err != nil {
		return nil, ofOwner(err)
	}
	if served := A(res).GetServed(); served != nil {
		served.Through = p.identity.Name
	}
	p.handoff.Metrics.Forwarded()
	return res, nil
}

// ofOwner is an owner's error as this pod passes it on: without the headers that say who answered.
func ofOwner(err error) error {
	var refused *connect.Error
	if !errors.As(err, &refused) || !connect.IsWireError(err) {
		return err
	}
	out := connect.NewError(refused.Code(), errors.New(refused.Message())) // of one from the wire, no header would be sent
	for _, d := range refused.Details() {
		out.AddDetail(d)
	}
	if after := refused.Meta().Get(wire.HeaderRetryAfter); after != "" {
		out.Meta().Set(wire.HeaderRetryAfter, after)
	}
	return out
}
