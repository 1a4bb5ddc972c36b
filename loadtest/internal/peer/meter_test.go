package peer_test

import (
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/smaran-v2/smaran/loadtest/internal/peer"
	"github.com/smaran-v2/smaran/services/jarvis/audio"
)

// bench is a meter with a clock in hand, and the gaps it told.
type bench struct {
	*peer.Meter
	clock *clockwork.FakeClock
	gaps  []peer.Gap
}

func newBench(threshold time.Duration) *bench {
	b := &bench{clock: clockwork.NewFakeClock()}
	b.Meter = peer.NewMeter(peer.MeterConfig{
		Threshold: threshold, Clock: b.clock, OnGap: func(g peer.Gap) { b.gaps = append(b.gaps, g) }})
	return b
}

// TestGapsAreToldApart: after ten regular frames from sequence 65530 (so that it wraps), one packet comes late.
func TestGapsAreToldApart(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct {
		name string
		// after is how long after the last regular one the packet comes; frames and ticks how far it is ahead of it.
		after  time.Duration
		frames uint16
		ticks  uint32
		want   []peer.Gap
		counts func(peer.Snapshot) peer.Counts
	}{
		{"regular", 20 * ms, 1, 160, nil, nil},
		{"jitter", 180 * ms, 1, 160, nil, nil},
		{"at the threshold", 200 * ms, 1, 160, nil, nil},
		{"sender stalled", 900 * ms, 1, 160, []peer.Gap{{Duration: 900 * ms, Kind: peer.Outage}},
			func(s peer.Snapshot) peer.Counts { return s.Outage }},
		{"network lost 44 frames", 900 * ms, 45, 45 * 160, []peer.Gap{{Duration: 900 * ms, Kind: peer.Loss}},
			func(s peer.Snapshot) peer.Counts { return s.Loss }},
		{"sender was silent", 900 * ms, 1, 45 * 160, []peer.Gap{{Duration: 900 * ms, Kind: peer.Silence}},
			func(s peer.Snapshot) peer.Counts { return s.Silence }},
		{"one lost in a long stall", 900 * ms, 2, 320, []peer.Gap{{Duration: 900 * ms, Kind: peer.Outage}},
			func(s peer.Snapshot) peer.Counts { return s.Outage }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(0)
			s := b.Stream()
			sequence, timestamp := uint16(65530), ^uint32(0)-800
			for range 10 {
				b.clock.Advance(audio.FrameDuration)
				sequence, timestamp = sequence+1, timestamp+160
				s.Received(sequence, timestamp)
			}
			start := b.clock.Now()
			b.clock.Advance(tt.after)
			s.Received(sequence+tt.frames, timestamp+tt.ticks)
			for i := range tt.want {
				tt.want[i].Start = start
			}
			require.Equal(t, tt.want, b.gaps)
			seen := b.Snapshot()
			require.Equal(t, uint64(11), seen.Packets)
			require.Equal(t, uint64(tt.frames-1), seen.Lost)
			require.Equal(t, max(tt.after, audio.FrameDuration), seen.Longest)
			if tt.counts != nil {
				require.Equal(t, peer.Counts{Over60ms: 1, Over200ms: 1}, tt.counts(seen))
			}
		})
	}
}

func TestAGapRunsAcrossARedial(t *testing.T) {
	b := newBench(0)
	require.Zero(t, b.Since(), "before the first packet there is no gap, only set-up")
	b.clock.Advance(time.Minute)
	b.Stream().Received(7, 7)
	start := b.clock.Now()
	b.clock.Advance(1500 * time.Millisecond)
	require.Equal(t, 1500*time.Millisecond, b.Since())
	b.Stream().Received(40000, 123456) // another call numbers anew
	require.Equal(t, []peer.Gap{{Start: start, Duration: 1500 * time.Millisecond, Redial: true}}, b.gaps)
	require.Equal(t, peer.Counts{Over60ms: 1, Over200ms: 1, Over1s: 1}, b.Snapshot().Outage)
	require.Zero(t, b.Snapshot().Lost)
}

func TestMakeBeforeBreakIsNoGap(t *testing.T) {
	b := newBench(0)
	first, second := b.Stream(), b.Stream()
	for i := range uint16(50) {
		b.clock.Advance(10 * time.Millisecond)
		if i < 30 {
			first.Received(i, uint32(i)*160)
		}
		b.clock.Advance(10 * time.Millisecond)
		if i > 20 {
			second.Received(i+9000, uint32(i)*160)
		}
	}
	require.Empty(t, b.gaps)
	require.Equal(t, audio.FrameDuration, b.Snapshot().Longest)
}

func TestFinishCountsTheOpenGap(t *testing.T) {
	b := newBench(100 * time.Millisecond)
	b.Finish()
	require.Empty(t, b.gaps, "no media ever is no gap: the call was not set up")
	b.Stream().Received(1, 1)
	b.clock.Advance(100 * time.Millisecond)
	b.Finish()
	require.Empty(t, b.gaps)
	b.clock.Advance(100 * time.Millisecond)
	b.Finish()
	require.Len(t, b.gaps, 1)
	require.True(t, b.gaps[0].Open)
	require.Equal(t, 200*time.Millisecond, b.gaps[0].Duration)
}

func TestResetKeepsTheOpenGap(t *testing.T) {
	b := newBench(0)
	s := b.Stream()
	s.Received(1, 160)
	b.clock.Advance(time.Second)
	s.Received(2, 320)
	b.clock.Advance(300 * time.Millisecond)
	b.ResetGaps()
	require.Zero(t, b.Snapshot().Outage)
	b.clock.Advance(300 * time.Millisecond)
	s.Received(3, 480)
	require.Equal(t, peer.Counts{Over60ms: 1, Over200ms: 1}, b.Snapshot().Outage)
	require.Equal(t, 600*time.Millisecond, b.Snapshot().Longest)
}

// TestLossIsCountedExactly: whichever packets are dropped or swapped with the next, and wherever the sequence starts.
func TestLossIsCountedExactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBench(0)
		s := b.Stream()
		sequence, timestamp := rapid.Uint16().Draw(t, "sequence"), rapid.Uint32().Draw(t, "timestamp")
		fates := rapid.SliceOfN(rapid.SampledFrom([]string{"arrives", "arrives", "lost", "late"}), 1, 300).Draw(t, "fates")
		send := func(i int) { s.Received(sequence+uint16(i), timestamp+uint32(i)*160) }
		send(0)
		lost, late, arrived, held := uint64(0), uint64(0), uint64(1), 0
		for i, fate := range fates {
			i++
			switch {
			case fate == "lost":
				lost++
				continue
			case fate == "late" && held == 0:
				held = i
				continue
			}
			b.clock.Advance(audio.FrameDuration)
			send(i)
			arrived++
			if held != 0 {
				send(held)
				held, late, arrived = 0, late+1, arrived+1
			}
		}
		send(len(fates) + 1) // ends every loss
		arrived++
		if held != 0 {
			lost++
		}
		seen := b.Snapshot()
		require.Equal(t, lost, seen.Lost)
		require.Equal(t, late, seen.Late)
		require.Equal(t, arrived, seen.Packets)
	})
}

func TestGapHistogramsMerge(t *testing.T) {
	all := peer.NewGapHistogram()
	for _, gap := range []time.Duration{20 * time.Millisecond, 3 * time.Second, time.Hour} {
		b := newBench(0)
		s := b.Stream()
		s.Received(1, 160)
		b.clock.Advance(gap)
		s.Received(2, 320)
		b.MergeGaps(all)
	}
	require.Equal(t, int64(3), all.TotalCount())
	require.InEpsilon(t, 200, all.Min(), 0.01)
	require.InEpsilon(t, 30_000, all.ValueAtPercentile(50), 0.01)
	require.InEpsilon(t, 6_000_000, all.Max(), 0.01, "clamped")
}
