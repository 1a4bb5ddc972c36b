package call

import (
	"context"

	"google.golang.org/protobuf/types/known/durationpb"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/services/session"
)

// Watch reports on a session's call until it ends: a heartbeat every Config.Heartbeat, migrate when the session is to
// go elsewhere, draining once the pod drains, and at last ended, after which Watch returns nil. The pod event that opens a stream is the caller's to send. A call may have any
// number of watchers; send is called from this goroutine only.
//
// Errors: ErrNotHeld, ErrClosed (the pod is going, and Ended was not sent), ctx's, or send's.
func (m *Manager) Watch(ctx context.Context, id session.ID, send func(*jarvisv1.WatchResponse) error) error {
	watch, err := m.Watcher(id)
	if err != nil {
		return err
	}
	return watch(ctx, send)
}

// Watcher is Watch in two steps, for who has something to send in between: what the function reports is about the call that
// the session has now, also if that ends before the function is called. It fails with ErrNotHeld.
func (m *Manager) Watcher(id session.ID) (func(ctx context.Context, send func(*jarvisv1.WatchResponse) error) error, error) {
	c, err := m.find(id)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, send func(*jarvisv1.WatchResponse) error) error {
		return m.watch(ctx, c, send)
	}, nil
}

func (m *Manager) watch(ctx context.Context, c *agent, send func(*jarvisv1.WatchResponse) error) error {
	heartbeat := &jarvisv1.WatchResponse{Event: &jarvisv1.WatchResponse_Heartbeat{
		Heartbeat: &jarvisv1.Heartbeat{Interval: durationpb.New(m.cfg.Heartbeat)}}}
	tick := m.cfg.Clock.NewTicker(m.cfg.Heartbeat)
	defer tick.Stop()
	draining := m.draining
	var told *jarvisv1.Migrate
	for {
		migrate, migrates := c.migration()
		if migrate != told && migrate != nil {
			told = migrate
			if err := send(&jarvisv1.WatchResponse{Event: &jarvisv1.WatchResponse_Migrate{Migrate: migrate}}); err != nil {
				return err
			}
		}
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
		case <-migrates:
			continue
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
