package probe

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/net/websocket"

	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/wire"
)

// Paths of a target besides all others, which answer at once.
const (
	// PathHold streams for as long as its query parameter "for" says, such as 60s, as a call's events do.
	PathHold = "/hold"
	// PathWebSocket answers every message with the pod's name.
	PathWebSocket = "/ws"
)

// beat is the time between two lines of a stream.
const beat = 250 * time.Millisecond

// Target answers with the pod's name, and counts each session's requests in its memory, so that a pod that did not keep a session shows.
func Target(pod string) http.Handler {
	t := &target{pod: pod, turns: map[string]int{}}
	mux := http.NewServeMux()
	mux.HandleFunc(PathHold, t.hold)
	// No check of the origin, which only a browser has.
	mux.Handle(PathWebSocket, websocket.Server{Handler: t.socket})
	mux.HandleFunc("/", t.answer)
	return mux
}

type target struct {
	pod string

	mu    sync.Mutex
	turns map[string]int
}

func (t *target) answer(w http.ResponseWriter, r *http.Request) {
	w.Header().Set(wire.HeaderPod, t.pod)
	if id := r.Header.Get(session.Header); id != "" {
		t.mu.Lock()
		t.turns[id]++
		turn := t.turns[id]
		t.mu.Unlock()
		w.Header().Set(wire.HeaderTurn, strconv.Itoa(turn))
	}
}

func (t *target) hold(w http.ResponseWriter, r *http.Request) {
	lasting, err := time.ParseDuration(r.URL.Query().Get("for"))
	if err != nil {
		http.Error(w, "for: expected a duration such as 60s", http.StatusBadRequest)
		return
	}
	w.Header().Set(wire.HeaderPod, t.pod)
	end := time.NewTimer(lasting)
	defer end.Stop()
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	for {
		if _, err := w.Write([]byte{'\n'}); err != nil {
			return
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			return
		}
		select {
		case <-ticker.C:
		case <-end.C:
			return
		case <-r.Context().Done():
			panic(http.ErrAbortHandler) // to return would end the stream as if it were whole
		}
	}
}

func (t *target) socket(ws *websocket.Conn) {
	var message string
	for websocket.Message.Receive(ws, &message) == nil {
		if websocket.Message.Send(ws, t.pod) != nil {
			return
		}
	}
}
