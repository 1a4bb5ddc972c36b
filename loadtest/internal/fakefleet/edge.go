package fakefleet

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	smaranv1 "github.com/smaran-v2/smaran/proto/smaran/v1"
	agent "github.com/smaran-v2/smaran/services/jarvis/call"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/wire"
)

func (f *Fleet) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+wire.PathInference, f.infer)
	mux.HandleFunc("GET "+wire.PathInference, f.infer)
	mux.HandleFunc("POST "+wire.PathCalls, f.offer)
	mux.HandleFunc("PATCH "+wire.PathCalls+"/{session}", f.held(http.StatusNoContent))
	mux.HandleFunc("POST "+wire.PathCalls+"/{session}/control", f.held(http.StatusOK))
	mux.HandleFunc("DELETE "+wire.PathCalls+"/{session}", f.hangup)
	mux.HandleFunc("GET "+wire.PathCalls+"/{session}/events", f.events)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body) // a pipe's writer waits for its reader, also where nobody wants the body
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		f.mu.Lock()
		f.requests[r.Method+" "+r.URL.Path]++
		f.mu.Unlock()
		if f.Intercept != nil && f.Intercept(w, r) {
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// at routes a request, and answers it where no pod can take it. It is called with mu held.
func (f *Fleet) at(w http.ResponseWriter, id string) *pod {
	i := f.route(id, f.hosts())
	if i < 0 || f.pods[i].dead {
		wire.Problem{Status: http.StatusServiceUnavailable, Code: wire.CodeUpstreamUnavailable}.Write(w)
		return nil
	}
	return f.pods[i]
}

func (f *Fleet) infer(w http.ResponseWriter, r *http.Request) {
	id := r.Header.Get(session.Header)
	f.mu.Lock()
	if id == "" && !f.lenient {
		f.mu.Unlock()
		wire.Problem{Status: http.StatusBadRequest, Code: "session_missing"}.Write(w)
		return
	}
	p := f.at(w, id)
	if p == nil {
		f.mu.Unlock()
		return
	}
	state, takes := jarvisv1.CacheState_CACHE_STATE_COLD, Cold
	if id != "" {
		state, takes = p.begin(id, lastTurn(r.Body))
	}
	f.mu.Unlock()

	timer := time.NewTimer(takes)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.gone:
		wire.Problem{Status: http.StatusServiceUnavailable, Code: wire.CodeUpstreamUnavailable}.Write(w)
		return
	case <-r.Context().Done():
		return
	}
	f.mu.Lock()
	served := p.finish(id, state)
	f.mu.Unlock()
	body, err := protojson.Marshal(&smaranv1.InferResponse{Served: served, Spoken: served.GetCallHeld()})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", wire.ContentTypeJSON)
	_, _ = w.Write(body) // the caller may be gone
}

// lastTurn is where the caller says that the conversation stands; 0 where it says nothing.
func lastTurn(body io.Reader) uint64 {
	q := &smaranv1.InferRequest{}
	if raw, err := io.ReadAll(body); err == nil && len(raw) > 0 {
		_ = protojson.Unmarshal(raw, q) // what does not parse says nothing
	}
	return q.GetLastTurn()
}

func (f *Fleet) offer(w http.ResponseWriter, r *http.Request) {
	id := r.Header.Get(session.Header)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.offers = append(f.offers, r.Header.Clone())
	token := r.Header.Get(wire.HeaderMigrate)
	var p *pod
	if token != "" { // then nobody chooses
		p = f.destination(w, id, token)
	} else {
		p = f.besides(w, id, r.Header.Get(wire.HeaderLostPod))
	}
	if p == nil {
		return
	}
	f.place(p, id, token != "")
	h := w.Header()
	h.Set("Location", wire.PathCall(id))
	h.Set("ETag", p.calls[id].etag())
	h.Set(wire.HeaderPod, p.name)
	h.Set("Content-Type", wire.ContentTypeSDP)
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, "v=0\r\n")
}

// besides is at, and also keeps away from the pod that a caller lost.
func (f *Fleet) besides(w http.ResponseWriter, id, lost string) *pod {
	if lost == "" {
		return f.at(w, id)
	}
	for _, p := range f.pods {
		if p.name != lost && !p.dead {
			return p
		}
	}
	wire.Problem{Status: http.StatusServiceUnavailable, Code: wire.CodeNoPods}.Write(w)
	return nil
}

// held answers what concerns a call: 409 at a pod without it, 412 where it has been replaced.
func (f *Fleet) held(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		p := f.at(w, r.PathValue("session"))
		if p == nil {
			return
		}
		call, match := p.calls[r.PathValue("session")], r.Header.Get("If-Match")
		switch {
		case call == nil:
			wire.Problem{Status: http.StatusConflict, Code: wire.CodeOwnerMoved}.Write(w)
		case match != "" && match != call.etag():
			wire.Problem{Status: http.StatusPreconditionFailed, Code: wire.CodeETagMismatch}.Write(w)
		default:
			w.WriteHeader(status)
		}
	}
}

func (f *Fleet) hangup(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.holder(r.PathValue("session")); p != nil {
		p.end(r.PathValue("session"), agent.ReasonHangup)
	}
	w.WriteHeader(http.StatusOK)
}

// stream is one open event stream.
type stream struct{ ended chan struct{} }

// cut ends it without a word; with the fleet's mu held.
func (s *stream) cut() {
	select {
	case <-s.ended:
	default:
		close(s.ended)
	}
}

func (f *Fleet) events(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("session")
	f.mu.Lock()
	p := f.holder(id)
	if p == nil || f.down {
		f.mu.Unlock()
		wire.Problem{Status: http.StatusConflict, Code: wire.CodeOwnerMoved}.Write(w)
		return
	}
	call := p.calls[id]
	s := &stream{ended: make(chan struct{})}
	f.streams[s] = true
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.streams, s)
	}()

	w.Header().Set("Content-Type", wire.ContentTypeEventStream)
	send := func(event, data string) {
		fmt.Fprintf(w, "event: %s\ndata: %s\n\n", event, strings.TrimSpace(data)) //nolint:errcheck // the caller may be gone
		_ = http.NewResponseController(w).Flush()
	}
	send(wire.EventPod, fmt.Sprintf(`{"pod":{"served":{"pod":%q}}}`, p.name))
	for told := ""; ; {
		f.mu.Lock()
		migrate, changed := call.migrate, call.changed
		f.mu.Unlock()
		if migrate != told {
			told = migrate
			send(wire.EventMigrate, told)
		}
		select {
		case <-p.gone:
			send(wire.EventPodLost, fmt.Sprintf(`{"podLost":{"pod":%q}}`, p.name))
			return
		case <-call.ended:
			send(wire.EventEnded, fmt.Sprintf(`{"ended":{"reason":%q}}`, call.reason))
			return
		case <-changed:
		case <-s.ended:
			return
		case <-r.Context().Done():
			return
		}
	}
}
