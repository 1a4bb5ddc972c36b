package peer_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/peer"
	"github.com/smaran-v2/smaran/services/jarvis/audio"
	"github.com/smaran-v2/smaran/services/jarvis/call"
)

// talkative speaks soon and often.
var talkative = peer.Speech{Talk: 300 * time.Millisecond, Pause: 500 * time.Millisecond, Seed: 1}

// audible is a mean square well above the detector's and well below either voice's.
const audible = 1e6

func TestSpeechIsAnsweredAudiblyAndInWriting(t *testing.T) {
	p, api := startPod(t), newAPI(t)
	said, loud := make(chan peer.Transcript, 64), make(chan struct{}, 10_000)
	c := dial(t, api, p.to("s1"), peer.Options{
		Speech:       talkative,
		OnTranscript: func(s peer.Transcript) { said <- s },
		OnAudio:      onEnergy(audible, loud),
	})
	require.Positive(t, c.SetupTime())

	s := next(t, said)
	require.Equal(t, uint64(1), s.Turn)
	require.Regexp(t, `^answer to heard \d+ ms of speech$`, s.Text)
	require.Equal(t, "0000000000000001", s.Checksum)
	next(t, loud)
	require.NoError(t, c.Err())
}

// TestSilenceIsNotAnswered is the control to the one above: the agent answers speech, not media.
func TestSilenceIsNotAnswered(t *testing.T) {
	p, api := startPod(t), newAPI(t)
	meter := peer.NewMeter(peer.MeterConfig{})
	loud := make(chan struct{}, 10_000)
	dial(t, api, p.to("s1"), peer.Options{Meter: meter, OnAudio: onEnergy(audible, loud)})
	require.Eventually(t, func() bool { return meter.Snapshot().Packets > 60 }, patience, 10*time.Millisecond)
	require.Zero(t, p.asked.Load())
	require.Empty(t, loud, "an agent with nothing to say is silent")
}

// TestMediaIsContinuous: the agent sends a frame every 20 ms under one sequence, also while it says nothing.
func TestMediaIsContinuous(t *testing.T) {
	p, api := startPod(t), newAPI(t)
	meter := peer.NewMeter(peer.MeterConfig{})
	start := time.Now()
	dial(t, api, p.to("s1"), peer.Options{Meter: meter, Speech: talkative})
	require.Eventually(t, func() bool { return meter.Snapshot().Packets >= 100 }, patience, 10*time.Millisecond)
	require.GreaterOrEqual(t, time.Since(start), 98*audio.FrameDuration, "faster than real time")
	seen := meter.Snapshot()
	require.Zero(t, seen.Lost)
	require.Zero(t, seen.Late)

	gaps := peer.NewGapHistogram()
	meter.MergeGaps(gaps)
	require.InDelta(t, audio.FrameDuration.Milliseconds(), gaps.ValueAtPercentile(50)/10, 10)
}

func TestSayIsSpokenUnlessMuted(t *testing.T) {
	p, api := startPod(t), newAPI(t)
	said, loud := make(chan peer.Transcript, 64), make(chan struct{}, 10_000)
	meter := peer.NewMeter(peer.MeterConfig{})
	dial(t, api, p.to("s1"), peer.Options{
		Meter: meter, OnTranscript: func(s peer.Transcript) { said <- s }, OnAudio: onEnergy(audible, loud)})

	require.NoError(t, p.Mute("s1", true))
	spoken, err := p.Say("s1", "unheard", 7)
	require.NoError(t, err)
	require.False(t, spoken)
	require.Equal(t, peer.Transcript{Type: call.TypeTranscript, Text: "unheard", Turn: 7}, next(t, said))
	mark := meter.Snapshot().Packets
	require.Eventually(t, func() bool { return meter.Snapshot().Packets > mark+10 }, patience, 10*time.Millisecond,
		"silence must still be sent")
	require.Empty(t, loud)

	require.NoError(t, p.Mute("s1", false))
	spoken, err = p.Say("s1", "heard", 8)
	require.NoError(t, err)
	require.True(t, spoken)
	require.Equal(t, uint64(8), next(t, said).Turn)
	next(t, loud)

	_, err = p.Say("s2", "to nobody", 1)
	require.ErrorIs(t, err, call.ErrNotHeld)
	require.ErrorIs(t, p.Mute("s2", true), call.ErrNotHeld)
}

func TestHangingUpEndsTheCallAtThePod(t *testing.T) {
	p, api := startPod(t), newAPI(t)
	c := dial(t, api, p.to("s1"), peer.Options{})
	require.True(t, p.Holds("s1"))
	c.Close()
	require.Eventually(t, func() bool { return len(p.endings()) == 1 }, patience, 10*time.Millisecond)
	require.Equal(t, []string{"s1 " + call.ReasonPeerClosed}, p.endings())
	require.Zero(t, p.Count())
	require.False(t, p.Holds("s1"))
	require.NoError(t, c.Err(), "a call that was hung up is not lost")
}

func TestACallerThatVanishesIsNoticed(t *testing.T) {
	p, api := startPod(t), newAPI(t)
	dial(t, api, p.to("s1"), peer.Options{})
	p.gate.shut.Store(true) // neither end hears the other any more
	require.Eventually(t, func() bool { return p.Count() == 0 }, patience, 10*time.Millisecond)
	require.Eventually(t, func() bool { return len(p.endings()) == 1 }, patience, 10*time.Millisecond)
	require.Equal(t, "s1 "+call.ReasonPeerClosed, p.endings()[0])
}

// TestAKilledPodCostsOneInterruption: the watchdog sees the silence, a redial reaches another pod, and the meter counts one
// gap, from the last packet of the first call to the first of the second.
func TestAKilledPodCostsOneInterruption(t *testing.T) {
	first, second, api := startPod(t), startPod(t), newAPI(t)
	gaps := make(chan peer.Gap, 64)
	meter := peer.NewMeter(peer.MeterConfig{Threshold: peer.DefaultWatchdog, OnGap: func(g peer.Gap) { gaps <- g }})
	c := dial(t, api, first.to("s1"), peer.Options{Meter: meter, Watchdog: peer.DefaultWatchdog})

	killed, silent := time.Now(), meter.Since()
	first.gate.shut.Store(true)
	<-lost(t, c)
	require.ErrorIs(t, c.Err(), peer.ErrNoMedia)
	require.GreaterOrEqual(t, meter.Since(), peer.DefaultWatchdog)
	again := dial(t, api, second.to("s1"), peer.Options{Meter: meter})

	g := next(t, gaps)
	for !g.Redial { // a machine that stalls makes gaps of its own
		g = next(t, gaps)
	}
	require.False(t, g.Open)
	require.Equal(t, peer.Outage, g.Kind)
	require.Greater(t, g.Duration, peer.DefaultWatchdog)
	require.LessOrEqual(t, g.Duration, silent+time.Since(killed))
	require.NoError(t, again.Err())
	c.Close()
}

// TestOutageAndLossDiffer: what a stalled pod does not send was never numbered; what the network loses was.
func TestOutageAndLossDiffer(t *testing.T) {
	const length = 300 * time.Millisecond
	for name, tt := range map[string]struct {
		stop, resume func(*pod, *treadmill)
		kind         peer.Kind
	}{
		"stalled pod": {
			stop:   func(_ *pod, clock *treadmill) { clock.stopped.Store(true) },
			resume: func(_ *pod, clock *treadmill) { clock.stopped.Store(false) },
			kind:   peer.Outage,
		},
		"lossy network": {
			stop:   func(p *pod, _ *treadmill) { p.gate.shut.Store(true) },
			resume: func(p *pod, _ *treadmill) { p.gate.shut.Store(false) },
			kind:   peer.Loss,
		},
	} {
		t.Run(name, func(t *testing.T) {
			clock := newTreadmill(t)
			p, api := startPod(t, func(c *call.Config) { c.Clock = clock }), newAPI(t)
			gaps := make(chan peer.Gap, 64)
			meter := peer.NewMeter(peer.MeterConfig{OnGap: func(g peer.Gap) { gaps <- g }})
			dial(t, api, p.to("s1"), peer.Options{Meter: meter})

			tt.stop(p, clock)
			require.Eventually(t, func() bool {
				silent := meter.Since()
				// Where the machine stalled, nothing was sent either: that is no loss.
				lost := time.Duration(p.gate.lost.Load()) * audio.FrameDuration
				return silent > length && (tt.kind != peer.Loss || lost > silent*2/3)
			}, patience, 5*time.Millisecond)
			tt.resume(p, clock)
			g := next(t, gaps)
			for g.Duration <= length { // a machine that stalls makes gaps of its own
				g = next(t, gaps)
			}
			require.Equal(t, tt.kind, g.Kind, "%+v", g)
			require.False(t, g.Redial)
			require.Equal(t, tt.kind == peer.Loss, meter.Snapshot().Lost > 0)
		})
	}
}

// treadmill is a clock that a test can stop, as SIGSTOP stops a process: it advances with the real one otherwise.
type treadmill struct {
	*clockwork.FakeClock
	stopped atomic.Bool
}

func newTreadmill(t *testing.T) *treadmill {
	const step = 2 * time.Millisecond
	m := &treadmill{FakeClock: clockwork.NewFakeClock()}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(step)
		defer tick.Stop()
		at := time.Now()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				for ; time.Since(at) >= step; at = at.Add(step) {
					if !m.stopped.Load() {
						m.Advance(step)
					}
				}
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-done
	})
	return m
}

// TestTheWatchdogForgivesItsOwnStall: a generator that did not run for a while cannot tell whether the agent did.
func TestTheWatchdogForgivesItsOwnStall(t *testing.T) {
	clock := clockwork.NewFakeClock()
	api, err := peer.NewAPI(peer.APIOptions{Log: quiet(), Clock: clock})
	require.NoError(t, err)
	t.Cleanup(api.Close)
	p := startPod(t)
	meter := peer.NewMeter(peer.MeterConfig{})
	c := dial(t, api, p.to("s1"), peer.Options{Meter: meter, Watchdog: peer.DefaultWatchdog})
	p.gate.shut.Store(true) // no packet refreshes the last arrival from here on

	frames := func() int64 { return api.Lag().Frames }
	tick := func(d time.Duration) {
		require.NoError(t, clock.BlockUntilContext(within(t), 1))
		before := frames()
		clock.Advance(d)
		require.Eventually(t, func() bool { return frames() > before }, patience, time.Millisecond)
	}
	tick(time.Second)
	require.NoError(t, c.Err(), "the stall was the generator's")
	for range 4 {
		tick(audio.FrameDuration)
		require.NoError(t, c.Err(), "the watchdog starts afresh")
	}
	for range 3 {
		tick(audio.FrameDuration)
	}
	<-lost(t, c)
	require.ErrorIs(t, c.Err(), peer.ErrNoMedia)
}

func TestAClosedPodIsSeenAtOnce(t *testing.T) {
	p, api := startPod(t), newAPI(t)
	c := dial(t, api, p.to("s1"), peer.Options{})
	require.NoError(t, p.Close(within(t)))
	<-lost(t, c)
	require.ErrorIs(t, c.Err(), peer.ErrPeerClosed)
	require.Equal(t, []string{"s1 " + call.ReasonClosed}, p.endings())
}

func TestSetupFails(t *testing.T) {
	api := newAPI(t)
	opts := func() peer.Options { return peer.Options{Meter: peer.NewMeter(peer.MeterConfig{})} }

	t.Run("signalling", func(t *testing.T) {
		refused := errors.New("refused")
		_, err := peer.Dial(within(t), api, failing{refused}, opts())
		require.ErrorIs(t, err, peer.ErrSetup)
		require.ErrorIs(t, err, refused)
	})
	t.Run("unusable answer", func(t *testing.T) {
		_, err := peer.Dial(within(t), api, failing{nil}, opts())
		require.ErrorIs(t, err, peer.ErrSetup)
	})
	t.Run("no media in time", func(t *testing.T) {
		p := startPod(t)
		p.gate.shut.Store(true)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_, err := peer.Dial(ctx, api, p.to("s1"), opts())
		require.ErrorIs(t, err, peer.ErrSetup)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

type failing struct{ err error }

func (f failing) Offer(context.Context, string) (peer.Answer, error) {
	return peer.Answer{SDP: "v=nonsense"}, f.err
}

func TestLagIsMeasured(t *testing.T) {
	p, api := startPod(t), newAPI(t)
	dial(t, api, p.to("s1"), peer.Options{})
	require.Eventually(t, func() bool { return api.Lag().Frames > 10 }, patience, 10*time.Millisecond)
	l := api.Lag()
	require.Positive(t, l.Max)
	require.LessOrEqual(t, l.P50, l.P99)
	require.LessOrEqual(t, l.P99, l.Max)
	api.ResetLag()
	require.Less(t, api.Lag().Frames, l.Frames)
}

// onEnergy tells of each packet louder than the bound.
func onEnergy(bound float64, loud chan<- struct{}) func([]byte) {
	return func(pcmu []byte) {
		if audio.Energy(pcmu) > bound {
			loud <- struct{}{}
		}
	}
}

func next[T any](t testing.TB, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// lost is c.Lost, bounded by the test's patience.
func lost(t testing.TB, c *peer.Call) <-chan struct{} {
	t.Helper()
	select {
	case <-c.Lost():
	case <-time.After(patience):
		t.Fatal("the call was not lost")
	}
	return c.Lost()
}
