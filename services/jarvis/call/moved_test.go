package call_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/durationpb"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/services/jarvis/audio"
	"github.com/smaran-v2/smaran/services/jarvis/call"
)

// speaking is a pod whose agent has spoken some of its monologue, and nothing is on its way.
func speaking(t *testing.T, socket *tap) (*pod, *caller) {
	t.Helper()
	p := newPod(t, tapped(socket))
	c := dial(t, p, "s1", (*call.Manager).Offer, true)
	heard := int64(0)
	drain := func() {
		for heard < socket.media.Load() {
			next(t, c.heard)
			heard++
		}
	}
	next(t, c.heard)
	heard++
	p.connected(t, "s1", monologue)
	for range 5 {
		sent := socket.media.Load()
		require.NoError(t, p.clock.BlockUntilContext(within(t), 1))
		p.clock.Advance(audio.FrameDuration)
		require.Eventually(t, func() bool { return socket.media.Load() > sent }, patience, time.Millisecond)
		drain()
	}
	return p, c
}

func TestACallThatMovedFallsSilentAndLingers(t *testing.T) {
	socket := &tap{}
	p, c := speaking(t, socket)
	events, over := p.watch(t, "s1")
	sent := socket.media.Load()
	speech := p.Moved("s1")
	require.Greater(t, speech.GetLeft().AsDuration(), 3*time.Second)
	require.Less(t, speech.GetLeft().AsDuration(), 4*time.Second, "some was said")
	require.False(t, speech.GetMuted())
	require.Equal(t, ending{"s1", call.ReasonMoved}, next(t, p.ended), "told before its connection is closed")
	require.Equal(t, call.ReasonMoved, next(t, events).GetEnded().GetReason())
	require.NoError(t, next(t, over))
	require.False(t, p.Holds("s1"))
	require.Nil(t, p.Moved("s1"))

	passed := time.Duration(0)
	require.Eventually(t, func() bool {
		p.clock.Advance(audio.FrameDuration)
		passed += audio.FrameDuration
		return isClosed(c.gone)
	}, patience, time.Millisecond)
	require.GreaterOrEqual(t, passed, time.Second, "its caller hangs up when it hears the other one")
	require.Equal(t, sent, socket.media.Load())
}

func isClosed(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

func TestACallThatLingersDoesNotHoldUpTheEndOfItsPod(t *testing.T) {
	p, c := speaking(t, &tap{})
	p.Moved("s1")
	require.NoError(t, p.Close(within(t)))
	next(t, c.gone)
}

func TestTheAgentGoesOnWithWhatItWasSayingElsewhere(t *testing.T) {
	first, _ := speaking(t, &tap{})
	speech := first.Moved("s1")

	a := newAsking()
	second := newPod(t, a.set)
	c := dial(t, second, "s1", (*call.Manager).Standby, true)
	c.speaksUntil(t, a.isAsked)
	second.Resume("s1", speech)
	a.granted <- true
	packet := next(t, c.heard)
	require.False(t, bytes.Equal(audio.Silence(), packet.Payload), "from its first packet on")
	require.True(t, packet.Marker)
	left := second.Moved("s1").GetLeft().AsDuration()
	require.Less(t, left, speech.GetLeft().AsDuration())
	require.Greater(t, left, speech.GetLeft().AsDuration()-5*audio.FrameDuration, "and to the end")
}

func TestAnAgentThatWasMutedStaysSo(t *testing.T) {
	first, second := newPod(t), newPod(t)
	for _, p := range []*pod{first, second} {
		_, err := p.Standby(within(t), "s1", newOffer(t))
		require.NoError(t, err)
	}
	require.NoError(t, first.Mute("s1", true))
	second.Resume("s1", first.Moved("s1"))
	require.True(t, second.Moved("s1").GetMuted())
}

// TestWhatIsNewerIsNotReplacedByWhatWasSaidElsewhere: an answer may be there before the speech of the other pod's agent is.
func TestWhatIsNewerIsNotReplacedByWhatWasSaidElsewhere(t *testing.T) {
	a := newAsking()
	p := newPod(t, a.set)
	dial(t, p, "s1", (*call.Manager).Standby, true)
	p.connected(t, "s1", monologue)
	p.Resume("s1", &jarvisv1.Speech{Left: durationpb.New(20 * time.Millisecond)})
	require.Equal(t, 4*time.Second, p.Moved("s1").GetLeft().AsDuration())

	_, err := p.Standby(within(t), "s2", newOffer(t))
	require.NoError(t, err)
	require.NoError(t, p.Mute("s2", true))
	p.Resume("s2", &jarvisv1.Speech{Left: durationpb.New(time.Second)})
	speech := p.Moved("s2")
	require.True(t, speech.GetMuted())
	require.Zero(t, speech.GetLeft().AsDuration())
}

func TestWithoutACallThereIsNothingToGoOnWith(t *testing.T) {
	p := newPod(t)
	require.Nil(t, p.Moved("s1"))
	p.Resume("s1", &jarvisv1.Speech{Left: durationpb.New(time.Second)})
	require.ErrorIs(t, p.Migrate("s1", &jarvisv1.Migrate{Pod: "jarvis-2"}), call.ErrNotHeld)
	_, err := p.Offer(within(t), "s1", newOffer(t))
	require.NoError(t, err)
	p.Resume("s1", nil)
	require.Zero(t, p.Moved("s1").GetLeft().AsDuration())
}

func TestWatchersAreToldWhereTheirCallIsGoing(t *testing.T) {
	p := newPod(t)
	_, err := p.Offer(within(t), "s1", newOffer(t))
	require.NoError(t, err)
	present, _ := p.watch(t, "s1")
	require.NoError(t, p.Migrate("s1", &jarvisv1.Migrate{Pod: "jarvis-2", Epoch: 2}))
	require.Equal(t, "jarvis-2", next(t, present).GetMigrate().GetPod())
	future, _ := p.watch(t, "s1")
	require.Equal(t, "jarvis-2", next(t, future).GetMigrate().GetPod())
	require.NoError(t, p.Migrate("s1", &jarvisv1.Migrate{Pod: "jarvis-2", Epoch: 2}))
	require.Equal(t, "jarvis-2", next(t, present).GetMigrate().GetPod(), "told again")
	require.Equal(t, "jarvis-2", next(t, future).GetMigrate().GetPod())

	require.NoError(t, p.Migrate("s1", nil))
	late, _ := p.watch(t, "s1")
	require.NoError(t, p.clock.BlockUntilContext(within(t), 4)) // the deadline and three heartbeats: all watch
	p.clock.Advance(time.Second)
	for _, events := range []<-chan *jarvisv1.WatchResponse{present, future, late} {
		require.NotNil(t, next(t, events).GetHeartbeat(), "it goes nowhere, of which nobody is told")
	}
	require.NoError(t, p.Migrate("s1", &jarvisv1.Migrate{Pod: "jarvis-3", Epoch: 2}))
	for _, events := range []<-chan *jarvisv1.WatchResponse{present, future, late} {
		require.Equal(t, "jarvis-3", next(t, events).GetMigrate().GetPod())
	}
}
