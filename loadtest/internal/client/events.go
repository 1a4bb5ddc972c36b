package client

import (
	"io"

	"github.com/tmaxmax/go-sse"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
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
		case wire.EventEnded:
			// The media will stop, and the watchdog sees it; without it there is nothing to redial for.
			return true
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
