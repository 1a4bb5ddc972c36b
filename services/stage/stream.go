package stage

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/services/internal/httpserver"
	"github.com/smaran-v2/smaran/services/stage/scene"
	"github.com/smaran-v2/smaran/services/wire"
)

const (
	// quiet is how often a comment is sent, so that what is between here and the reader does not take the stream for dead.
	quiet = 5 * time.Second
	// patience is how long a reader may leave what is sent to it unread. One that comes back after that is brought up to date.
	patience = 15 * time.Second
	// reconnectMillis is what an EventSource waits before it comes back after the stream ended.
	reconnectMillis = 500
)

// stream shows the scene. Each reader has the state of things as of when it can take it, so that a slow one misses the states between and
// nothing else.
type stream struct {
	scene *scene.Scene
	log   *slog.Logger
	// show is what readers are shown of a frame.
	show func(*stagev1.Frame) *stagev1.Frame
}

// state is GET /api/v1/state.
func (s *stream) state(w http.ResponseWriter, _ *http.Request) {
	frame, _ := s.scene.Frame(0)
	body, err := protojson.Marshal(s.show(frame))
	if err != nil {
		s.log.Error("frame not written", "error", err)
		writeProblem(w, err, "")
		return
	}
	writeJSON(w, http.StatusOK, body)
}

func writeJSON(w http.ResponseWriter, code int, body []byte) {
	w.Header().Set("Content-Type", wire.ContentTypeJSON)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = w.Write(append(body, '\n')) // a client that is gone can't be told
}

// follow is GET /api/v1/stream. It ends with the reader, or when the server stops.
func (s *stream) follow(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", wire.ContentTypeEventStream)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // a proxy that buffers would hold frames back
	if r.Method == http.MethodHead {
		return
	}
	reader := &reader{writer: w, control: http.NewResponseController(w)}
	if err := reader.send(fmt.Appendf(nil, "retry: %d\n\n", reconnectMillis)); err != nil {
		return
	}
	ctx, stop := httpserver.UntilStopping(r.Context())
	defer stop()
	err := s.scene.Follow(ctx, s.resumed(r), quiet, func(frame *stagev1.Frame, version uint64) error {
		if frame == nil {
			return reader.send([]byte(":\n\n"))
		}
		event, err := s.event(s.show(frame), version)
		if err != nil {
			s.log.Error("frame not written", "error", err)
			return err
		}
		return reader.send(event)
	})
	s.log.Debug("reader left", "error", err)
}

// resumed is the version that the reader has, 0 where it has none of this scene's. An EventSource sends the header by itself when it comes
// back, and can't send it otherwise.
func (s *stream) resumed(r *http.Request) uint64 {
	id := r.Header.Get("Last-Event-ID")
	if id == "" {
		id = r.URL.Query().Get("last_event_id")
	}
	instance, version, _ := strings.Cut(id, "-")
	if instance != s.scene.Instance {
		return 0
	}
	after, err := strconv.ParseUint(version, 10, 64)
	if err != nil {
		return 0
	}
	return after
}

func (s *stream) event(frame *stagev1.Frame, version uint64) ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "event: frame\nid: %s-%d\ndata: ", s.scene.Instance, version)
	event, err := protojson.MarshalOptions{}.MarshalAppend(b.Bytes(), frame)
	if err != nil {
		return nil, fmt.Errorf("write JSON: %w", err)
	}
	return append(event, "\n\n"...), nil
}

// reader is where one stream is written to.
type reader struct {
	writer  http.ResponseWriter
	control *http.ResponseController
}

func (r *reader) send(b []byte) error {
	_ = r.control.SetWriteDeadline(time.Now().Add(patience)) // a writer without deadlines, as in tests, never blocks
	if _, err := r.writer.Write(b); err != nil {
		return fmt.Errorf("write event: %w", err)
	}
	if err := r.control.Flush(); err != nil {
		return fmt.Errorf("flush event: %w", err)
	}
	return nil
}
