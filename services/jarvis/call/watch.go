package call

import (
	"context"

	"google.golang.org/protobuf/types/known/durationpb"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/services/session"
)

// Watch reports on a session's call until it ends: a heartbeat every Config.Heartbeat, draining once the pod drains, and at
// last ended, after which Watch returns nil. The pod event that opens a stream is the caller's to send. A call may have any
// number of watchers; send is called from this goroutine only.
//
// Errors: ErrNotHeld, ErrClosed (the pod is going, and Ended was not sent), ctx's, or send's.
func (m *Manager) Watch(ctx context.Context, id session.ID, send func(*jarvisv1.WatchResponse) error) error {
	c, err := m.find(id)
	if err != nil {
		return err
	}
	heartbeat := &jarvisv1.WatchResponse{Event: &jarvisv1.WatchResponse_Heartbeat{
		Heartbeat: &jarvisv1.Heartbeat{Interval: durationpb.New(m.cfg.Heartbeat)}}}
	tick := m.cfg.Clock.NewTicker(m.cfg.Heartbeat)
	defer tick.Stop()
	draining := m.draining
	for {
		var event *jarvisv1.WatchResponse
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-c.done:
			if c.reason == ReasonClosed {
				return ErrClosed
			}
			return send(&jarvisv1.WatchResponse{Event: &jarvisv1.WatchResponse_Ended{
				Ended: &jarvisv1.Ended{Reason: c.reason}}})
		case <-draining:
			draining = nil // said once
			event = &jarvisv1.WatchResponse{Event: &jarvisv1.WatchResponse_Draining{
				Draining: &jarvisv1.Draining{Remaining: durationpb.New(m.remaining())}}}
		case <-tick.Chan():
			event = heartbeat
		}
		if err := send(event); err != nil {
			return err
		}
	}
}
