package edge

import (
	"errors"
	"fmt"
	"net/http"

	"connectrpc.com/connect"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/smaran/internal/core"
	"github.com/smaran-v2/smaran/services/wire"
)

// status is how the two edges show a code.
type status struct {
	http int
	rpc  connect.Code
}

// statusOf is the one place where codes get statuses.
func statusOf(code wire.Code) status {
	switch code {
	case wire.CodeBadRequest, wire.CodeTokenRefused, wire.CodeBackendUnknown, wire.CodeBackendUnavailable:
		return status{http.StatusBadRequest, connect.CodeInvalidArgument}
	case wire.CodeOverrideForbidden:
		return status{http.StatusForbidden, connect.CodePermissionDenied}
	case wire.CodeNotFound:
		return status{http.StatusNotFound, connect.CodeNotFound}
	case wire.CodeMethodNotAllowed:
		return status{http.StatusMethodNotAllowed, connect.CodeUnimplemented}
	case wire.CodeOwnerMoved:
		return status{http.StatusConflict, connect.CodeFailedPrecondition}
	case wire.CodeETagMismatch:
		return status{http.StatusPreconditionFailed, connect.CodeFailedPrecondition}
	case wire.CodeBodyTooLarge:
		return status{http.StatusRequestEntityTooLarge, connect.CodeResourceExhausted}
	case wire.CodeUnsupportedMedia:
		return status{http.StatusUnsupportedMediaType, connect.CodeInvalidArgument}
	case wire.CodePodFull:
		return status{http.StatusTooManyRequests, connect.CodeResourceExhausted}
	case wire.CodeDraining, wire.CodeNoPods, wire.CodeUpstreamUnavailable:
		return status{http.StatusServiceUnavailable, connect.CodeUnavailable}
	case wire.CodeUpstreamTimeout:
		return status{http.StatusGatewayTimeout, connect.CodeDeadlineExceeded}
	}
	return status{http.StatusInternalServerError, connect.CodeInternal}
}

// describe turns any error into a problem; failure is nil unless it came from the core.
func describe(err error) (p wire.Problem, failure *core.Error) {
	var (
		malformed *session.Error
		tooLarge  *http.MaxBytesError
		bad       *badRequest
	)
	switch {
	case errors.As(err, &malformed):
		return wire.Problem{
			Status: http.StatusBadRequest, Code: wire.Code(malformed.Code), Detail: malformed.Unwrap().Error(),
			Received: malformed.Received, Expected: malformed.Expected, Example: malformed.Example,
		}, nil
	case errors.As(err, &failure):
		return wire.Problem{
			Status: statusOf(failure.Code).http, Code: failure.Code, Detail: failure.Detail, Owner: failure.Owner, Epoch: failure.Epoch,
		}, failure
	case errors.As(err, &bad):
		p = bad.problem
		p.Status = statusOf(p.Code).http
		return p, nil
	case errors.As(err, &tooLarge):
		return wire.Problem{
			Status: statusOf(wire.CodeBodyTooLarge).http, Code: wire.CodeBodyTooLarge,
			Detail: "the request's body is too large", Expected: fmt.Sprintf("at most %d bytes", tooLarge.Limit),
		}, nil
	}
	return wire.Problem{Status: http.StatusInternalServerError, Code: wire.CodeInternal, Detail: err.Error()}, nil
}

// badRequest is what an edge finds wrong with a request by itself.
type badRequest struct{ problem wire.Problem }

func (b *badRequest) Error() string { return string(b.problem.Code) + ": " + b.problem.Detail }

func bad(code wire.Code, detail, received, expected, example string) error {
	return &badRequest{wire.Problem{Code: code, Detail: detail, Received: received, Expected: expected, Example: example}}
}

// writeProblem answers with err.
func writeProblem(w http.ResponseWriter, err error) {
	p, failure := describe(err)
	if failure != nil {
		addHeaders(w.Header(), failure.Header)
		if failure.RetryAfter != "" {
			w.Header().Set(wire.HeaderRetryAfter, failure.RetryAfter)
		}
	}
	p.Write(w)
}

// rpcError is err as Connect sends it: the code stands before the text, as pods do it. An error that Connect made itself stays as it
// is, unless it is about the session.
func rpcError(err error) error {
	if err == nil {
		return nil
	}
	p, failure := describe(err)
	var already *connect.Error
	if failure == nil && p.Code == wire.CodeInternal && errors.As(err, &already) {
		return already
	}
	rpc := statusOf(p.Code).rpc
	switch {
	case p.Status == http.StatusBadRequest:
		rpc = connect.CodeInvalidArgument // the session's codes too
	case failure != nil && failure.Cancelled:
		rpc = connect.CodeCanceled
	}
	out := connect.NewError(rpc, fmt.Errorf("%s: %s", p.Code, p.Detail))
	if failure == nil {
		return out
	}
	addHeaders(out.Meta(), failure.Header)
	if failure.RetryAfter != "" {
		out.Meta().Set(wire.HeaderRetryAfter, failure.RetryAfter)
	}
	if failure.Code == wire.CodeOwnerMoved {
		detail, err := connect.NewErrorDetail(&jarvisv1.CallNotHeld{Owner: failure.Owner, Epoch: failure.Epoch})
		if err == nil { // a message of a string and a number always marshals
			out.AddDetail(detail)
		}
	}
	return out
}

// addHeaders puts all of src into dst, in place of what is there under the same names.
func addHeaders(dst, src http.Header) {
	for name, values := range src {
		dst[name] = values
	}
}
