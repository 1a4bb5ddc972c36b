package jarvis_test

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/services/jarvis/call"
	"github.com/smaran-v2/smaran/services/session"
)

// jumpClock is a fake clock on which every timer is due at once: making one takes its duration of virtual time. It gives
// sequential requests exact times without anybody to wait for.
type jumpClock struct{ *clockwork.FakeClock }

func (c jumpClock) NewTimer(d time.Duration) clockwork.Timer {
	timer := c.FakeClock.NewTimer(d)
	c.Advance(d)
	return timer
}

// maxJump is what one jumps over at most: a drain's time has to pass.
const maxJump = 10 * time.Second

// shortJumps is a jumpClock whose long timers somebody has to wait for.
type shortJumps struct{ *clockwork.FakeClock }

func (c shortJumps) NewTimer(d time.Duration) clockwork.Timer {
	if d > maxJump {
		return c.FakeClock.NewTimer(d)
	}
	return jumpClock(c).NewTimer(d)
}

// fakeCalls has calls without media. Its zero value is ready for use.
type fakeCalls struct {
	limit   int
	respond call.Responder
	onEnd   func(session.ID, string)
	// onMedia is told of a call on standby by the test: standby says which ones are.
	onMedia func(context.Context, session.ID) bool
	standby map[session.ID]bool
	told    []*jarvisv1.Migrate

	mu      sync.Mutex
	held    map[session.ID]chan struct{} // closed when the call ends
	said    []said
	muted   map[session.ID]bool
	trickle error
	// offering, where set, is received from by an offer before it becomes a call.
	offering  chan struct{}
	remaining func() time.Duration
	closed    bool
}

type said struct {
	Session session.ID
	Text    string
	Turn    uint64
}

func (f *fakeCalls) Offer(ctx context.Context, id session.ID, sdp string) (call.Answered, error) {
	if sdp == "" {
		return call.Answered{}, call.ErrBadSDP
	}
	if f.offering != nil {
		select {
		case <-f.offering:
		case <-ctx.Done():
			return call.Answered{}, ctx.Err()
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.held[id]; !ok && len(f.held) >= f.limit {
		return call.Answered{}, call.ErrFull
	}
	if f.held == nil {
		f.held = map[session.ID]chan struct{}{}
	}
	f.held[id] = make(chan struct{})
	return call.Answered{SDP: "answer to " + sdp, ETag: `"1"`}, nil
}

func (f *fakeCalls) Standby(ctx context.Context, id session.ID, sdp string) (call.Answered, error) {
	answered, err := f.Offer(ctx, id, sdp)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		if f.standby == nil {
			f.standby = map[session.ID]bool{}
		}
		f.standby[id] = true
	}
	return answered, err
}

// heard is the first media of a call on standby.
func (f *fakeCalls) heard(ctx context.Context, id session.ID) bool {
	f.mu.Lock()
	waiting := f.standby[id]
	delete(f.standby, id)
	f.mu.Unlock()
	return waiting && f.onMedia(ctx, id)
}

func (f *fakeCalls) Migrate(id session.ID, to *jarvisv1.Migrate) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.held[id]; !ok {
		return call.ErrNotHeld
	}
	if to != nil {
		f.told = append(f.told, to)
	}
	return nil
}

func (f *fakeCalls) migrated() []*jarvisv1.Migrate {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.told)
}

func (f *fakeCalls) Moved(id session.ID) *jarvisv1.Speech {
	if !f.end(id) {
		return nil
	}
	f.onEnd(id, call.ReasonMoved)
	return &jarvisv1.Speech{Muted: f.muted[id]}
}

func (f *fakeCalls) Resume(id session.ID, speech *jarvisv1.Speech) {
	if speech.GetMuted() {
		_ = f.Mute(id, true)
	}
}

func (f *fakeCalls) Check(sdp string) error {
	if sdp == "" {
		return call.ErrBadSDP
	}
	return nil
}

func (f *fakeCalls) Trickle(_ context.Context, id session.ID, _, _ string) error {
	if !f.Holds(id) {
		return call.ErrNotHeld
	}
	return f.trickle
}

func (f *fakeCalls) Hangup(id session.ID) error {
	if !f.end(id) {
		return call.ErrNotHeld
	}
	f.onEnd(id, call.ReasonHangup)
	return nil
}

func (f *fakeCalls) end(id session.ID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	done, ok := f.held[id]
	if ok {
		close(done)
		delete(f.held, id)
	}
	return ok
}

func (f *fakeCalls) Mute(id session.ID, muted bool) error {
	if !f.Holds(id) {
		return call.ErrNotHeld
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.muted = map[session.ID]bool{id: muted}
	return nil
}

func (f *fakeCalls) Say(id session.ID, text string, turn uint64) (bool, error) {
	if !f.Holds(id) {
		return false, call.ErrNotHeld
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.said = append(f.said, said{id, text, turn})
	return !f.muted[id], nil
}

func (f *fakeCalls) Watcher(id session.ID) (func(context.Context, func(*jarvisv1.WatchResponse) error) error, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	done, ok := f.held[id]
	if !ok {
		return nil, call.ErrNotHeld
	}
	return func(ctx context.Context, send func(*jarvisv1.WatchResponse) error) error {
		select {
		case <-done:
			return send(&jarvisv1.WatchResponse{Event: &jarvisv1.WatchResponse_Ended{Ended: &jarvisv1.Ended{Reason: call.ReasonHangup}}})
		case <-ctx.Done():
			return ctx.Err()
		}
	}, nil
}

func (f *fakeCalls) Holds(id session.ID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ok := f.held[id]
	return ok
}

func (f *fakeCalls) Count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.held)
}

func (f *fakeCalls) Sessions() []session.ID {
	f.mu.Lock()
	defer f.mu.Unlock()
	ids := []session.ID{}
	for id := range f.held {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func (f *fakeCalls) Drain(remaining func() time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.remaining = remaining
}

func (f *fakeCalls) Close(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	return nil
}

func (f *fakeCalls) spoken() []said {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.said)
}
