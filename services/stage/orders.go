package stage

import (
	"encoding/json"
	"net/http"

	"github.com/smaran-v2/smaran/services/stage/director"
	"github.com/smaran-v2/smaran/services/stage/recording"
	"github.com/smaran-v2/smaran/services/stage/venue"
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
		writeJSON(w, http.StatusAccepted, body)
	}
}

const exampleSteering = `{"speed":2,"at_ms":12000}`

// replay is POST /api/v1/replay.
func replay(o *Options) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if o.Player == nil {
			writeProblem(w, errNoRecording, exampleSteering)
			return
		}
		var s recording.Steering
		if err := readMembers(w, r, []member{optional("speed", &s.Speed), optional("at_ms", &s.AtMs)}); err != nil {
			writeProblem(w, err, exampleSteering)
			return
		}
		if err := o.Player.Steer(s); err != nil {
			writeProblem(w, err, exampleSteering)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}
