package client

import (
	"io"

	"github.com/tmaxmax/go-sse"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	agent "github.com/smaran-v2/smaran/services/jarvis/call"
	"github.com/smaran-v2/smaran/services/wire"
)

// read takes events until the stream ends, and says whether that is all: the call is over, or its pod is lost. It closes the
// stream.
func (c *Caller) read(stream io.ReadCloser, call *placed) (over bool) {
	defer stream.Close()
	for event, err := range sse.Read(stream, nil) {
		if err != nil {
			return false
		}
		switch event.Type {
		case wire.EventPodLost:
			call.ask(need{lostPod: lostPod(event.Data, call.offered.Pod), why: event.Type})
			return true
		case wire.EventMigrate:
			if e, err := decode([]byte(event.Data), &jarvisv1.WatchResponse{}); err == nil {
				call.move(migration{pod: e.GetMigrate().GetPod(), token: e.GetMigrate().GetToken()})
			}
		case wire.EventEnded:
			// The media will stop, and the watchdog sees it; without it there is nothing to redial for. Only a second call that did not
			// get its session leaves the first one behind, which has a stream too.
			e, err := decode([]byte(event.Data), &jarvisv1.WatchResponse{})
			return err != nil || e.GetEnded().GetReason() != agent.ReasonNotGranted
		}
	}
	return false
}

// lostPod is the name in a pod_lost event, or the call's pod where the event does not say.
func lostPod(data, callsPod string) string {
	e, err := decode([]byte(data), &jarvisv1.WatchResponse{})
	if name := e.GetPodLost().GetPod(); err == nil && name != "" {
		return name
	}
	return callsPod
}
