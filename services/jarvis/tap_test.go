package jarvis_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"

	"google.golang.org/protobuf/proto"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/proto/jarvis/v1/jarvisv1connect"
	"github.com/smaran-v2/smaran/services/jarvis/internal/history"
	"github.com/smaran-v2/smaran/services/jarvis/state"
	"github.com/smaran-v2/smaran/services/session"
)

// tap records what a pod does: every answer that it adds to a conversation, whoever gets it, and every title that it gives. It stands
// before the pod's handler and before its way to other pods.
type tap struct {
	*history.Recorder
	pod *mate
}

// before records what the pod answers. Nothing of a pod that is dead leaves it.
func (t tap) before(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, r)
		if answer.Code == http.StatusOK { // also of one that was killed meanwhile: its archive may have it
			t.answered(r, body, answer.Body.Bytes())
		}
		if t.pod.dead.Load() {
			panic(http.ErrAbortHandler)
		}
		for key, values := range answer.Header() {
			w.Header()[key] = values
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes()) // who asked may be gone
	})
}

func (t tap) answered(r *http.Request, body, answer []byte) {
	id := r.Header.Get(session.Header)
	switch r.URL.Path {
	case jarvisv1connect.JarvisServiceInferProcedure:
		var res jarvisv1.InferResponse
		if proto.Unmarshal(answer, &res) != nil || res.GetServed().GetIncarnation() != t.pod.incarnation {
			return // another pod's, which has recorded it
		}
		t.Record(eventOf(history.Answered, res.GetServed()))
	case jarvisv1connect.JarvisServiceClaimProcedure:
		var req jarvisv1.ClaimRequest
		var res jarvisv1.ClaimResponse
		if proto.Unmarshal(body, &req) == nil && proto.Unmarshal(answer, &res) == nil &&
			res.GetTitle().GetIncarnation() == req.GetIncarnation() {
			t.granted(id, res.GetTitle())
		}
	}
}

func eventOf(kind history.Kind, s *jarvisv1.Served) history.Event {
	return history.Event{Kind: kind, Session: s.GetSession(),
		Title:    history.Title{Epoch: s.GetEpoch(), Pod: s.GetPod(), Incarnation: s.GetIncarnation()},
		Point:    history.Point{Turn: s.GetTurn(), Checksum: s.GetChecksum()},
		Previous: s.GetPreviousChecksum(), Cold: s.GetState() == cold}
}

func (t tap) granted(id string, title *jarvisv1.Title) {
	t.Record(history.Event{Kind: history.Granted, Session: id, Giver: t.pod.incarnation,
		Title: history.Title{Epoch: title.GetEpoch(), Pod: title.GetOwner(), Incarnation: title.GetIncarnation()}})
}

// behind records what the pod gives of its own accord, as it leaves.
func (t tap) behind(next http.RoundTripper) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.URL.Path == jarvisv1connect.JarvisServiceHandoffProcedure {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return nil, err
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			var req jarvisv1.HandoffRequest
			if proto.Unmarshal(body, &req) == nil && req.GetTitle().GetIncarnation() != t.pod.incarnation {
				t.granted(r.Header.Get(session.Header), req.GetTitle())
			}
		}
		return next.RoundTrip(r)
	})
}

func (t tap) dropped(id session.ID, why state.Dropped) {
	t.Record(history.Event{Kind: history.Dropped, Session: string(id), Title: history.Title{Pod: t.pod.name, Incarnation: t.pod.incarnation},
		Note: string(why)})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
