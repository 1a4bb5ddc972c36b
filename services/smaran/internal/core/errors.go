package core

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"connectrpc.com/connect"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/services/mesh/replies"
	"github.com/smaran-v2/smaran/services/smaran/backend"
	"github.com/smaran-v2/smaran/services/wire"
)

// Error is an operation that failed. The edges turn its code into a status.
type Error struct {
	// Code says what happened, Detail adds to it for people.
	Code   wire.Code
	Detail string
	// Owner and Epoch belong to wire.CodeOwnerMoved.
	Owner string
	Epoch uint64
	// RetryAfter is the header's value, of wire.CodePodFull.
	RetryAfter string
	// Cancelled: the caller went away, so that nobody reads this.
	Cancelled bool
	// Header is for the reply, and names the pod that refused, if one did.
	Header http.Header

	cause error
}

// Error is the detail after the code.
func (e *Error) Error() string { return string(e.Code) + ": " + e.Detail }

// Unwrap is what made the operation fail.
func (e *Error) Unwrap() error { return e.cause }

func failed(code wire.Code, cause error, format string, args ...any) *Error {
	return &Error{Code: code, Detail: fmt.Sprintf(format, args...), cause: cause}
}

// notRouted is a backend's error.
func notRouted(err error) *Error {
	switch {
	case errors.Is(err, backend.ErrNoPods):
		return failed(wire.CodeNoPods, err, "%v; try again once one is ready", err)
	case errors.Is(err, context.DeadlineExceeded):
		return failed(wire.CodeUpstreamTimeout, err, "no pod was chosen in time")
	case errors.Is(err, context.Canceled):
		return gone(err)
	}
	return failed(wire.CodeInternal, err, "choosing a pod: %v", err)
}

func gone(err error) *Error {
	e := failed(wire.CodeUpstreamUnavailable, err, "the caller went away")
	e.Cancelled = true
	return e
}

// judge turns what came of a request to a pod, or to the mesh, into what the backend and the caller need to know. pod is the
// addressed one, "" where the mesh chose. It is the only place that looks at a pod's errors.
func judge(err error, pod string) (backend.Outcome, *Error) {
	if err == nil {
		return backend.Outcome{}, nil
	}
	var refused *connect.Error
	if !errors.As(err, &refused) {
		refused = connect.NewError(connect.CodeUnknown, err)
	}
	outcome, problem := classify(refused)
	outcome.Header, outcome.Pod = refused.Meta(), refused.Meta().Get(wire.HeaderPod)
	if astray(pod, outcome.Pod) {
		switch outcome.Result {
		case backend.Answered, backend.NotHeld, backend.Draining: // refused, so that nothing was done anywhere
			outcome.Result = backend.Astray
		}
	}
	problem.cause = err
	problem.Header = podHeaders(refused.Meta())
	return outcome, problem
}

// astray is whether another pod answered than the addressed one. A pod whose name is not known can't be told apart.
func astray(addressed, answered string) bool {
	return addressed != "" && answered != "" && addressed != answered
}

func classify(refused *connect.Error) (backend.Outcome, *Error) {
	var (
		message = refused.Message()
		// Every reply of a pod names it, refusals included; the mesh's own do not.
		fromPod = connect.IsWireError(refused) && refused.Meta().Get(wire.HeaderPod) != ""
	)
	if moved := callNotHeld(refused); moved != nil {
		e := failed(wire.CodeOwnerMoved, nil, "%s", withoutCode(message))
		e.Owner, e.Epoch = moved.GetOwner(), moved.GetEpoch()
		return backend.Outcome{Result: backend.NotHeld, Owner: e.Owner, OwnerAddress: moved.GetAddress(), Epoch: e.Epoch}, e
	}
	switch refused.Code() {
	case connect.CodeCanceled:
		return backend.Outcome{Result: backend.Failed}, gone(nil)
	case connect.CodeDeadlineExceeded:
		return backend.Outcome{Result: backend.Failed}, failed(wire.CodeUpstreamTimeout, nil, "the pod did not answer in time")
	}
	if !fromPod {
		return fromElsewhere(refused)
	}
	answered := backend.Outcome{Result: backend.Answered}
	switch refused.Code() {
	case connect.CodeUnavailable:
		return backend.Outcome{Result: backend.Draining}, failed(wire.CodeDraining, nil, "%s", withoutCode(message))
	case connect.CodeFailedPrecondition:
		return answered, failed(wire.CodeETagMismatch, nil, "%s", withoutCode(message))
	case connect.CodeInvalidArgument:
		return answered, failed(wire.CodeBadRequest, nil, "%s", withoutCode(message))
	case connect.CodeResourceExhausted:
		e := failed(wire.CodePodFull, nil, "%s", withoutCode(message))
		e.RetryAfter = refused.Meta().Get(wire.HeaderRetryAfter)
		return answered, e
	}
	return backend.Outcome{Result: backend.Failed}, failed(wire.CodeInternal, nil, "the pod failed: %s", message)
}

// fromElsewhere is a failure that no pod reported: of the connection, or of the mesh.
func fromElsewhere(refused *connect.Error) (backend.Outcome, *Error) {
	if errors.Is(refused, replies.ErrNoPods) {
		return backend.Outcome{Result: backend.Failed}, failed(wire.CodeNoPods, nil, "%v; try again once one is ready", replies.ErrNoPods)
	}
	if errors.Is(refused, replies.ErrNotConnected) {
		return backend.Outcome{Result: backend.Unreachable}, failed(wire.CodeUpstreamUnavailable, nil, "%v", replies.ErrNotConnected)
	}
	var network *net.OpError
	if errors.As(refused, &network) && network.Op == "dial" {
		return backend.Outcome{Result: backend.Unreachable},
			failed(wire.CodeUpstreamUnavailable, nil, "no connection to the pod or the mesh: %v", network)
	}
	// Connect reports a reply that is not its own by its status line.
	if strings.HasPrefix(refused.Message(), "504") {
		return backend.Outcome{Result: backend.Failed}, failed(wire.CodeUpstreamTimeout, nil, "the mesh gave up waiting for the pod")
	}
	return backend.Outcome{Result: backend.Failed},
		failed(wire.CodeUpstreamUnavailable, nil, "the pod or the mesh broke off: %s", refused.Message())
}

func callNotHeld(refused *connect.Error) *jarvisv1.CallNotHeld {
	if refused.Code() != connect.CodeFailedPrecondition {
		return nil
	}
	for _, detail := range refused.Details() {
		if value, err := detail.Value(); err == nil {
			if moved, ok := value.(*jarvisv1.CallNotHeld); ok {
				return moved
			}
		}
	}
	return nil
}

// withoutCode drops the code that pods put before their text, since the caller gets it apart.
func withoutCode(message string) string {
	if _, text, found := strings.Cut(message, ": "); found {
		return text
	}
	return message
}

// podHeaders are those of a pod's reply that name it.
func podHeaders(h http.Header) http.Header {
	out := http.Header{}
	for _, name := range []string{wire.HeaderPod, wire.HeaderIncarnation} {
		if v := h.Get(name); v != "" {
			out.Set(name, v)
		}
	}
	return out
}
