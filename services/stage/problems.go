package stage

import (
	"context"
	"errors"
	"net/http"

	"github.com/smaran-v2/smaran/services/stage/director"
	"github.com/smaran-v2/smaran/services/stage/recording"
	"github.com/smaran-v2/smaran/services/stage/venue"
	"github.com/smaran-v2/smaran/services/wire"
)

// What all orders, or all steering of a recording, fail with where there is nothing that they could be for.
var (
	errNoFleet     = &refusal{status{http.StatusConflict, wire.CodeNotPossible}, "nothing can be steered here: this stage only shows"}
	errNoRecording = &refusal{status{http.StatusConflict, wire.CodeNotPossible}, "no recording is played here: a fleet can't be paused or sped up"}
)

// status is how an error is shown.
type status struct {
	http int
	code wire.Code
}

var internal = status{http.StatusInternalServerError, wire.CodeInternal}

// refusal is an error that knows its status.
type refusal struct {
	status status
	detail string
}

func (r *refusal) Error() string { return r.detail }

// statusOf is the one place where errors get statuses.
func statusOf(err error) status {
	var (
		refused  *refusal
		tooLarge *http.MaxBytesError
	)
	switch {
	case errors.As(err, &refused):
		return refused.status
	case errors.As(err, &tooLarge):
		return status{http.StatusRequestEntityTooLarge, wire.CodeBodyTooLarge}
	case errors.Is(err, director.ErrOrder), errors.Is(err, recording.ErrSteering):
		return status{http.StatusBadRequest, wire.CodeBadRequest}
	case errors.Is(err, venue.ErrUnknown):
		return status{http.StatusNotFound, wire.CodeNotFound}
	case errors.Is(err, venue.ErrNotHere):
		return status{http.StatusConflict, wire.CodeNotPossible}
	case errors.Is(err, director.ErrBusy):
		return status{http.StatusConflict, wire.CodeBusy}
	case errors.Is(err, director.ErrClosed), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return status{http.StatusServiceUnavailable, wire.CodeUpstreamUnavailable}
	}
	return internal
}

// writeProblem answers with err, and shows a right order where that helps.
func writeProblem(w http.ResponseWriter, err error, example string) {
	s := statusOf(err)
	p := wire.Problem{Status: s.http, Code: s.code, Detail: err.Error()}
	switch {
	case s == internal:
		p.Detail = "an error in the stage itself; its log says more"
	case s.http == http.StatusBadRequest, s.http == http.StatusUnsupportedMediaType:
		p.Example = example
	}
	p.Write(w)
}
