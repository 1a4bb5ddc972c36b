package edge

import (
	"bytes"
	"fmt"
	"net/http"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/services/internal/httpserver"
	"github.com/smaran-v2/smaran/services/smaran/internal/core"
	"github.com/smaran-v2/smaran/services/wire"
)

// reconnectMillis is what an EventSource waits before it comes back after the stream ended.
const reconnectMillis = 250

// events is GET /v1/calls/{session}/events, a stream of server-sent events. The data of each is the JSON of a jarvis.v1
// WatchResponse, its name says which event it is. Ids count from 1 in each stream, and a stream never resumes: the first event of
// the next one, pod, says where the call is. When smaran stops, the stream ends without an event.
func (h *handler) events(w http.ResponseWriter, r *http.Request) {
	ctx, stop := httpserver.UntilStopping(r.Context())
	defer stop()
	stream := &eventStream{writer: w}
	err := h.options.Service.Watch(ctx, core.Incoming{Header: r.Header}, stream)
	switch {
	case stream.opened:
		// The status is sent. What ended the stream was said in an event, or the client is gone.
	case err != nil:
		writeProblem(w, err)
	default: // stopped before the first event
		wire.Problem{
			Status: http.StatusServiceUnavailable, Code: wire.CodeUpstreamUnavailable, Detail: "this smaran is stopping; try again",
		}.Write(w)
	}
}

// eventStream writes events as the HTML standard (section 9.2) has them.
type eventStream struct {
	writer http.ResponseWriter
	opened bool
	ids    int
}

// Open implements core.Events.
func (s *eventStream) Open(reply core.Reply) error {
	s.opened = true
	h := s.writer.Header()
	addHeaders(h, reply.Header)
	h.Set("Content-Type", wire.ContentTypeEventStream)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // a proxy that buffers would hold events back
	s.writer.WriteHeader(http.StatusOK)
	_, err := fmt.Fprintf(s.writer, "retry: %d\n\n", reconnectMillis)
	return err
}

// Send implements core.Events.
func (s *eventStream) Send(event *jarvisv1.WatchResponse) error {
	data, err := marshal(event)
	if err != nil {
		return err
	}
	s.ids++
	var b bytes.Buffer
	fmt.Fprintf(&b, "id: %d\nevent: %s\ndata: %s\n\n", s.ids, eventName(event), data)
	if _, err := s.writer.Write(b.Bytes()); err != nil {
		return fmt.Errorf("write event: %w", err)
	}
	if err := http.NewResponseController(s.writer).Flush(); err != nil {
		return fmt.Errorf("flush event: %w", err)
	}
	return nil
}

// eventName is the event's name on the wire; one that this version does not know goes by the standard's own default.
func eventName(event *jarvisv1.WatchResponse) string {
	switch event.GetEvent().(type) {
	case *jarvisv1.WatchResponse_Pod:
		return wire.EventPod
	case *jarvisv1.WatchResponse_Ended:
		return wire.EventEnded
	case *jarvisv1.WatchResponse_Heartbeat:
		return wire.EventHeartbeat
	case *jarvisv1.WatchResponse_Draining:
		return wire.EventDraining
	case *jarvisv1.WatchResponse_Migrate:
		return wire.EventMigrate
	case *jarvisv1.WatchResponse_PodLost:
		return wire.EventPodLost
	}
	return "message"
}
