package call_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/services/jarvis/audio"
	"github.com/smaran-v2/smaran/services/jarvis/call"
	"github.com/smaran-v2/smaran/services/session"
)

// monologue is longer than the agent ever speaks.
const monologue = "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness, it was the epoch of belief"

// asking has a pod ask the test whether a session came.
type asking struct {
	asked   chan session.ID
	granted chan bool
}

func newAsking() *asking { return &asking{asked: make(chan session.ID, 10), granted: make(chan bool)} }

func (a *asking) set(c *call.Config) {
	c.OnMedia = func(ctx context.Context, id session.ID) bool {
		a.asked <- id
		select {
		case yes := <-a.granted:
			return yes
		case <-ctx.Done():
			return false
		}
	}
}

func (a *asking) isAsked() bool { return len(a.asked) > 0 }

// watch tells what a session's watchers are told.
func (p *pod) watch(t testing.TB, id session.ID) (<-chan *jarvisv1.WatchResponse, <-chan error) {
	t.Helper()
	watch, err := p.Watcher(id)
	require.NoError(t, err)
	events, over := make(chan *jarvisv1.WatchResponse, 100), make(chan error, 1)
	ctx := within(t)
	go func() {
		over <- watch(ctx, func(e *jarvisv1.WatchResponse) error {
			events <- e
			return nil
		})
	}()
	return events, over
}

func TestACallOnStandbyIsSilentUntilItsSessionIsThere(t *testing.T) {
	a, socket := newAsking(), &tap{}
	p := newPod(t, a.set, tapped(socket))
	c := dial(t, p, "s1", (*call.Manager).Standby, true)
	p.connected(t, "s1", monologue)
	p.clock.Advance(10 * audio.FrameDuration)
	require.Zero(t, socket.media.Load(), "connected, and with something to say")
	require.False(t, a.isAsked(), "nothing moves before the caller is heard")

	c.speaksUntil(t, a.isAsked)
	p.clock.Advance(10 * audio.FrameDuration)
	require.Zero(t, socket.media.Load(), "heard, and not granted yet")
	a.granted <- true
	first := next(t, c.heard)
	require.Equal(t, []byte(audio.AgentVoice().At(0)), first.Payload)
	require.True(t, first.Marker)
	require.Equal(t, session.ID("s1"), <-a.asked)

	p.clock.Advance(time.Minute) // far beyond the time that a peer has to connect
	next(t, c.heard)
	c.speaksUntil(t, func() bool {
		p.clock.Advance(audio.FrameDuration)
		return socket.media.Load() > 9
	})
	require.Empty(t, p.ended)
	require.False(t, a.isAsked(), "once a call")
}

func TestACallOnStandbyEndsWithoutItsSession(t *testing.T) {
	a, socket := newAsking(), &tap{}
	p := newPod(t, a.set, tapped(socket))
	c := dial(t, p, "s1", (*call.Manager).Standby, true)
	p.connected(t, "s1", monologue)
	events, over := p.watch(t, "s1")
	c.speaksUntil(t, a.isAsked)
	a.granted <- false
	require.Equal(t, call.ReasonNotGranted, next(t, events).GetEnded().GetReason())
	require.NoError(t, next(t, over))
	require.Equal(t, ending{"s1", call.ReasonNotGranted}, next(t, p.ended))
	next(t, c.gone)
	require.Zero(t, socket.media.Load())
	require.Zero(t, p.Count())
}

func TestACallOnStandbyWhoseCallerIsNeverHeardExpires(t *testing.T) {
	a, socket := newAsking(), &tap{}
	p := newPod(t, a.set, tapped(socket))
	c := dial(t, p, "s1", (*call.Manager).Standby, true)
	p.connected(t, "s1", monologue) // which ends the wait of a call that is not on standby
	p.clock.Advance(5*time.Second - 1)
	require.True(t, p.Holds("s1"))
	p.clock.Advance(1)
	require.Equal(t, ending{"s1", call.ReasonExpired}, next(t, p.ended))
	next(t, c.gone)
	require.False(t, a.isAsked())
	require.Zero(t, socket.media.Load())
}

// TestACallerThatOnlyListensNeedNotBeHeard: there is no media to wait for, so that its connection has to do.
func TestACallerThatOnlyListensNeedNotBeHeard(t *testing.T) {
	a, socket := newAsking(), &tap{}
	p := newPod(t, a.set, tapped(socket))
	c := dial(t, p, "s1", (*call.Manager).Standby, false)
	require.Equal(t, session.ID("s1"), next(t, a.asked))
	require.Zero(t, socket.media.Load())
	a.granted <- true
	next(t, c.heard)
}

func TestAnyOtherCallSoundsAtOnce(t *testing.T) {
	a := newAsking()
	p := newPod(t, a.set)
	c := dial(t, p, "s1", (*call.Manager).Offer, true)
	next(t, c.heard)
	c.speaksUntil(t, func() bool { return len(c.heard) > 0 })
	require.False(t, a.isAsked(), "its session is here")
}
