package jarvis

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/services/jarvis/call"
	"github.com/smaran-v2/smaran/services/jarvis/handoff"
	"github.com/smaran-v2/smaran/services/jarvis/state"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/wire"
)

// retryAfter is what a full pod suggests: calls and requests end all the time.
const retryAfter = time.Second

// verdict is an error as both edges show it.
type verdict struct {
	code   wire.Code
	status int
	rpc    connect.Code
	// moved is set for owner_moved.
	moved *jarvisv1.CallNotHeld
	// unowned is what the pod knows of the owner of a session that it was asked to hand over.
	unowned *jarvisv1.NotOwned
	// retryAfter is set for pod_full.
	retryAfter time.Duration
}

// judge is the one place where errors get codes and statuses.
func judge(err error) verdict {
	var (
		malformed *session.Error
		stale     *state.StaleEpochError
		notHeld   *NotHeldError
		tooLarge  *http.MaxBytesError
		given     *state.MovedError
		giving    *state.GivingError
	)
	switch {
	case errors.As(err, &malformed):
		return verdict{code: wire.Code(malformed.Code), status: http.StatusBadRequest, rpc: connect.CodeInvalidArgument}
	case errors.As(err, &stale):
		return ownerMoved(stale.Owner, stale.Known)
	case errors.As(err, &notHeld):
		v := ownerMoved(notHeld.Owner, notHeld.Epoch)
		v.moved.Address = notHeld.Address
		return v
	case errors.As(err, &given):
		v := ownerMoved(given.Owner, given.Epoch)
		v.unowned = &jarvisv1.NotOwned{Title: &jarvisv1.Title{Epoch: given.Epoch, Owner: given.Owner, Incarnation: given.Incarnation}}
		return v
	case errors.Is(err, state.ErrUnknown), errors.Is(err, state.ErrReplaced):
		v := ownerMoved("", 0)
		v.unowned = new(jarvisv1.NotOwned)
		return v
	case errors.Is(err, state.ErrOwned), errors.As(err, &giving):
		return verdict{code: wire.CodeSessionOwned, status: http.StatusConflict, rpc: connect.CodeAlreadyExists}
	case errors.Is(err, ErrNoHandoff):
		return verdict{code: wire.CodeNotFound, status: http.StatusNotFound, rpc: connect.CodeUnimplemented}
	case errors.Is(err, state.ErrFull), errors.Is(err, call.ErrFull):
		return verdict{code: wire.CodePodFull, status: http.StatusTooManyRequests, rpc: connect.CodeResourceExhausted,
			retryAfter: retryAfter}
	case errors.Is(err, ErrDraining), errors.Is(err, handoff.ErrLeaving), errors.Is(err, call.ErrClosed):
		return verdict{code: wire.CodeDraining, status: http.StatusServiceUnavailable, rpc: connect.CodeUnavailable}
	case errors.Is(err, call.ErrETagMismatch):
		return verdict{code: wire.CodeETagMismatch, status: http.StatusPreconditionFailed, rpc: connect.CodeFailedPrecondition}
	case errors.Is(err, ErrBadRequest), errors.Is(err, state.ErrSnapshot), errors.Is(err, handoff.ErrClaim), errors.Is(err, handoff.ErrHosts), errors.Is(err, call.ErrBadSDP), errors.Is(err, call.ErrBadFragment):
		return verdict{code: wire.CodeBadRequest, status: http.StatusBadRequest, rpc: connect.CodeInvalidArgument}
	case errors.As(err, &tooLarge):
		return verdict{code: wire.CodeBodyTooLarge, status: http.StatusRequestEntityTooLarge, rpc: connect.CodeResourceExhausted}
	case errors.Is(err, errUnsupportedMedia):
		return verdict{code: wire.CodeUnsupportedMedia, status: http.StatusUnsupportedMediaType, rpc: connect.CodeInvalidArgument}
	case errors.Is(err, context.DeadlineExceeded):
		return verdict{code: wire.CodeUpstreamTimeout, status: http.StatusGatewayTimeout, rpc: connect.CodeDeadlineExceeded}
	case errors.Is(err, context.Canceled): // by the caller, who sees no answer, or by the end of the server's grace
		return verdict{code: wire.CodeUpstreamUnavailable, status: http.StatusServiceUnavailable, rpc: connect.CodeCanceled}
	}
	return verdict{code: wire.CodeInternal, status: http.StatusInternalServerError, rpc: connect.CodeInternal}
}

func ownerMoved(owner string, epoch uint64) verdict {
	return verdict{code: wire.CodeOwnerMoved, status: http.StatusConflict, rpc: connect.CodeFailedPrecondition,
		moved: &jarvisv1.CallNotHeld{Owner: owner, Epoch: epoch}}
}

// rpcError is err as Connect sends it. One that is Connect's already stays as it is.
func rpcError(err error) error {
	var already *connect.Error
	if err == nil || errors.As(err, &already) {
		return err
	}
	v := judge(err)
	out := connect.NewError(v.rpc, fmt.Errorf("%s: %w", v.code, err))
	if v.moved != nil {
		addDetail(out, v.moved)
	}
	if v.unowned != nil {
		addDetail(out, v.unowned)
	}
	if v.retryAfter > 0 {
		out.Meta().Set(wire.HeaderRetryAfter, seconds(v.retryAfter))
	}
	return out
}

func addDetail(to *connect.Error, message proto.Message) {
	if detail, err := connect.NewErrorDetail(message); err == nil { // a message of strings and numbers always marshals
		to.AddDetail(detail)
	}
}

// problem answers a plain HTTP request with err.
func problem(w http.ResponseWriter, err error) {
	v := judgeOwners(err)
	p := wire.Problem{Status: v.status, Code: v.code, Detail: err.Error(), Owner: v.moved.GetOwner(), Epoch: v.moved.GetEpoch()}
	var malformed *session.Error
	if errors.As(err, &malformed) {
		p.Received, p.Expected, p.Example = malformed.Received, malformed.Expected, malformed.Example
	}
	if v.retryAfter > 0 {
		w.Header().Set(wire.HeaderRetryAfter, seconds(v.retryAfter))
	}
	p.Write(w)
}

// judgeOwners is judge for plain HTTP, where a refusal of the session's owner, to whom the request was passed on, needs a status too.
func judgeOwners(err error) verdict {
	var refused *connect.Error
	if !errors.As(err, &refused) {
		return judge(err)
	}
	switch refused.Code() {
	case connect.CodeFailedPrecondition:
		return ownerMoved("", 0)
	case connect.CodeInvalidArgument:
		return judge(ErrBadRequest)
	case connect.CodeResourceExhausted:
		return judge(call.ErrFull)
	case connect.CodeDeadlineExceeded:
		return judge(context.DeadlineExceeded)
	}
	return judge(ErrDraining)
}

func seconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}

// edge turns the errors of handlers into Connect's.
type edge struct{}

func (edge) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		res, err := next(ctx, req)
		return res, rpcError(err)
	}
}

func (edge) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

func (edge) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		return rpcError(next(ctx, conn))
	}
}
