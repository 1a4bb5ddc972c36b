package call

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/services/session"
)

// lingers is how long a call that moved keeps its connection, without sending: its caller hangs up once it hears the other one, and
// should not take this one for lost meanwhile.
const lingers = time.Second

// Standby places a call whose session is another pod's still: the agent is silent until the caller's first media has come and
// Config.OnMedia has said that the session is here. Else the call ends with ReasonNotGranted. The rest is as with Offer.
func (m *Manager) Standby(ctx context.Context, id session.ID, sdp string) (Answered, error) {
	return m.place(ctx, id, sdp, true)
}

// heard takes note of the caller's media.
func (c *agent) heard() {
	if !c.awaiting.CompareAndSwap(true, false) || !c.enter() {
		return
	}
	go func() {
		defer c.work.Done()
		if c.m.cfg.OnMedia == nil || !c.m.cfg.OnMedia(c.ctx, c.id) {
			c.end(ReasonNotGranted)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.deadline != nil {
			c.deadline.Stop()
		}
		if c.standby.Swap(false) && !c.ended && c.connected.Load() {
			c.sound()
		}
	}()
}

// Moved ends a session's call, if it has one, because the session and a call of its own are at another pod. It returns what the agent was
// about to say; nil without a call.
func (m *Manager) Moved(id session.ID) *jarvisv1.Speech {
	c, err := m.find(id)
	if err != nil {
		return nil
	}
	speech := &jarvisv1.Speech{Left: durationpb.New(c.voice.remaining()), Muted: c.voice.muted.Load()}
	c.end(ReasonMoved)
	return speech
}

// Resume has the agent on a session's call go on with what it was about to say elsewhere, where it has said nothing here yet. Nil, or a
// session without a call, is nothing to do.
func (m *Manager) Resume(id session.ID, speech *jarvisv1.Speech) {
	c, err := m.find(id)
	if err != nil || speech == nil {
		return
	}
	if speech.GetMuted() {
		c.voice.mute(true)
	}
	c.voice.resume(speech.GetLeft().AsDuration())
}

// linger waits until the caller hangs up, the manager closes, or the time is over.
func (c *agent) linger() {
	timer := c.m.cfg.Clock.NewTimer(lingers)
	defer timer.Stop()
	select {
	case <-timer.Chan():
	case <-c.gone:
	case <-c.m.closing:
	}
}

// Migrate tells the watchers of a session's call, present and future, where the session is going; nil: nowhere any more, of which they are
// not told. It returns ErrNotHeld without a call.
func (m *Manager) Migrate(id session.ID, to *jarvisv1.Migrate) error {
	c, err := m.find(id)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.migrate = to
	close(c.migrates)
	c.migrates = make(chan struct{})
	return nil
}

// migration is the latest event, nil before the first, and what is closed when there is another.
func (c *agent) migration() (*jarvisv1.Migrate, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.migrate, c.migrates
}
