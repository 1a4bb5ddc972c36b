package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"

	"github.com/smaran-v2/smaran/services/wire"
)

// Failure is a request that got no good reply.
type Failure struct {
	// Code is the problem's, or for a reply without one "status_N".
	Code   string
	Status int
	Detail string
}

func (f *Failure) Error() string { return fmt.Sprintf("%s (HTTP %d): %s", f.Code, f.Status, f.Detail) }

// failed reads the problem from a reply.
func failed(r *http.Response) error {
	p, err := wire.ReadProblem(r)
	if err != nil {
		return &Failure{Code: fmt.Sprintf("status_%d", r.StatusCode), Status: r.StatusCode, Detail: err.Error()}
	}
	return &Failure{Code: string(p.Code), Status: r.StatusCode, Detail: p.Detail}
}

// Causes with which a run ends the contexts of its callers' requests.
var (
	// ErrCutOff: the run was given up, and what it breaks off did not fail.
	ErrCutOff = errors.New("the run was given up")
	// ErrUnfinished: the run is over and has waited long enough; the request counts as failed.
	ErrUnfinished = errors.New("no answer until the end of the run")
)

// Code is the stable name under which an error is counted: a problem's code, or the kind of transport error.
func Code(err error) string {
	var failure *Failure
	var network net.Error
	switch {
	case errors.As(err, &failure):
		return failure.Code
	case errors.Is(err, ErrUnfinished):
		return "unfinished"
	case errors.Is(err, context.DeadlineExceeded):
		return "client_timeout"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection_refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "connection_reset"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection_closed"
	case errors.As(err, &network) && network.Timeout():
		return "client_timeout"
	case errors.Is(err, errReply):
		return "bad_reply"
	default:
		return "transport"
	}
}

// ownerMoved says that the call is at another pod.
func ownerMoved(err error) bool {
	var failure *Failure
	return errors.As(err, &failure) && failure.Code == string(wire.CodeOwnerMoved)
}

// errReply is a good status with a body that makes no sense.
var errReply = errors.New("reply can't be read")
