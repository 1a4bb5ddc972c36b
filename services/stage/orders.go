package stage

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/smaran-v2/smaran/services/stage/director"
	"github.com/smaran-v2/smaran/services/stage/venue"
	"github.com/smaran-v2/smaran/services/wire"
)

// form is what an order of one verb looks like as JSON.
type form struct {
	verb venue.Verb
	// members of the order besides lane.
	members func(*director.Order) []member
	example string
}

func (f form) path() string { return pathAPI + "/" + string(f.verb) }

// forms of all verbs there are.
var forms = []form{
	{venue.Backend, func(o *director.Order) []member { return []member{required("backend", &o.Backend)} }, `{"lane":"a","backend":"redis"}`},
	{venue.Scale, func(o *director.Order) []member { return []member{required("pods", &o.Pods)} }, `{"pods":10}`},
	{venue.Kill, func(o *director.Order) []member { return []member{optional("pod", &o.Pod)} }, `{"pod":"jarvis-2"}`},
	{venue.Drain, func(o *director.Order) []member { return []member{required("pod", &o.Pod)} }, `{"pod":"jarvis-2"}`},
	{venue.Freeze, func(o *director.Order) []member { return []member{required("pod", &o.Pod)} }, `{"pod":"jarvis-2"}`},
	{venue.Thaw, func(o *director.Order) []member { return []member{optional("pod", &o.Pod)} }, `{"pod":"jarvis-2"}`},
	{venue.Rollout, nothing, `{}`},
	{venue.Redis, func(o *director.Order) []member { return []member{required("up", &o.Up)} }, `{"up":false}`},
	{venue.Smaran, nothing, `{}`},
	{venue.Load, func(o *director.Order) []member {
		return []member{required("calls", &o.Calls), required("rate", &o.Rate)}
	}, `{"calls":24,"rate":24}`},
	{venue.Header, func(o *director.Order) []member { return []member{required("dropped", &o.Dropped)} }, `{"dropped":true}`},
	{venue.Reset, nothing, `{}`},
}

func nothing(*director.Order) []member { return nil }

// order is POST /api/v1/{verb}. 202 says that it began; the group is that of the events in the stream.
func order(o *Options, f form) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if o.Doer == nil {
			writeProblem(w, errNoFleet, f.example)
			return
		}
		do := director.Order{Verb: f.verb}
		var lane string
		members := []member{optional("lane", &lane)}
		if err := readMembers(w, r, append(members, f.members(&do)...)); err != nil {
			writeProblem(w, err, f.example)
			return
		}
		if lane != "" {
			do.Lanes = []string{lane}
		}
		group, err := o.Doer.Do(r.Context(), do)
		if err != nil {
			if statusOf(err) == internal {
				o.Log.ErrorContext(r.Context(), "order failed", "verb", f.verb, "error", err)
			}
			writeProblem(w, err, f.example)
			return
		}
		body, _ := json.Marshal(map[string]uint32{"group": group}) // a number always marshals
		w.Header().Set("Content-Type", wire.ContentTypeJSON)
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusAccepted)
		_, _ = w.Write(append(body, '\n')) // a client that is gone can't be told
	}
}

// errNoFleet is what every verb fails with where the stage only shows.
var errNoFleet = &refusal{status{http.StatusConflict, wire.CodeNotPossible}, "nothing can be steered here: this stage only shows"}

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
	case errors.Is(err, director.ErrOrder):
		return status{http.StatusBadRequest, wire.CodeBadRequest}
	case errors.Is(err, venue.ErrUnknown):
		return status{http.StatusNotFound, wire.CodeNotFound}
	case errors.Is(err, venue.ErrNotHere):
		return status{http.StatusConflict, wire.CodeNotPossible}
	case errors.Is(err, director.ErrBusy):
		return status{http.StatusConflict, wire.CodeBusy}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
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
