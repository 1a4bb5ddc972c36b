package jarvis

import (
	"context"
	"time"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/services/jarvis/call"
	"github.com/smaran-v2/smaran/services/session"
)

// Calls are a pod's WebRTC calls, at most one a session; *call.Manager is the real one, and says what each method does and
// how it fails.
type Calls interface {
	Offer(ctx context.Context, id session.ID, sdp string) (call.Answered, error)
	Standby(ctx context.Context, id session.ID, sdp string) (call.Answered, error)
	Check(sdp string) error
	Migrate(id session.ID, to *jarvisv1.Migrate) error
	Trickle(ctx context.Context, id session.ID, fragment, ifMatch string) error
	Hangup(id session.ID) error
	Moved(id session.ID) *jarvisv1.Speech
	Resume(id session.ID, speech *jarvisv1.Speech)
	Mute(id session.ID, muted bool) error
	Say(id session.ID, text string, turn uint64) (spoken bool, err error)
	Watcher(id session.ID) (watch func(ctx context.Context, send func(*jarvisv1.WatchResponse) error) error, err error)

	Holds(id session.ID) bool
	Count() int
	Sessions() []session.ID

	Drain(remaining func() time.Duration)
	Close(ctx context.Context) error
}

// Hooks are what a pod's calls tell it: see call.Config.
type Hooks struct {
	Respond call.Responder
	OnMedia func(ctx context.Context, id session.ID) bool
	OnEnd   func(id session.ID, reason string)
}

// NewCalls makes a pod's calls.
type NewCalls func(Hooks) (Calls, error)

// callEnded is told of every call that is over.
func (p *Pod) callEnded(id session.ID, reason string) {
	p.settlePin(id)
	p.log.Debug("call ended", session.LogKey, id, "reason", reason)
	p.wakeDrain()
}

// settlePin makes the session's pin agree with whether it has a call. Whoever changes the latter calls this afterwards, so
// that the last to come sees the final state.
func (p *Pod) settlePin(id session.ID) {
	p.pins.Lock()
	defer p.pins.Unlock()
	p.sessions.Pin(id, p.calls.Holds(id))
}

// respond is what the agent says to a caller who has spoken: an inference like any other, and always a new one.
func (p *Pod) respond(ctx context.Context, id session.ID, prompt string) (call.Answer, error) {
	reply, err := p.infer(session.NewContext(ctx, id), question{session: id, prompt: prompt, fresh: true}, false)
	if err != nil {
		return call.Answer{}, err
	}
	return call.Answer{Text: reply.text, Turn: reply.served.Turn, Checksum: reply.served.Checksum}, nil
}
