package audio_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/jarvis/audio"
)

// TestDecodeMatchesG711 holds the quantized values of ITU-T G.711 (11/88), table 2a, at both ends of each segment, on its
// 14-bit scale: a sample here is four times as large.
func TestDecodeMatchesG711(t *testing.T) {
	for code, want := range map[byte]int{
		0x80: 8031, 0x8f: 4191, 0x90: 3999, 0x9f: 2079, 0xa0: 1983, 0xaf: 1023, 0xb0: 975, 0xbf: 495,
		0xc0: 471, 0xcf: 231, 0xd0: 219, 0xdf: 99, 0xe0: 93, 0xef: 33, 0xf0: 30, 0xfe: 2, 0xff: 0,
	} {
		require.Equal(t, int16(4*want), audio.DecodePCMU(code), "positive 0x%02x", code)
		require.Equal(t, int16(-4*want), audio.DecodePCMU(code&^0x80), "negative 0x%02x", code&^0x80)
	}
}

// TestEncodeMatchesG711 holds the decision values of the same table at the edges between segments, and the lowest: a sample
// at a decision value belongs to the code above it.
func TestEncodeMatchesG711(t *testing.T) {
	for edge, codes := range map[int][2]byte{
		4063: {0x90, 0x8f}, 2015: {0xa0, 0x9f}, 991: {0xb0, 0xaf}, 479: {0xc0, 0xbf},
		223: {0xd0, 0xcf}, 95: {0xe0, 0xdf}, 31: {0xf0, 0xef}, 1: {0xff, 0xfe},
	} {
		require.Equal(t, codes[0], audio.EncodePCMU(int16(4*edge-1)), "below %d", edge)
		require.Equal(t, codes[1], audio.EncodePCMU(int16(4*edge)), "at %d", edge)
		require.Equal(t, codes[0]&^0x80, audio.EncodePCMU(int16(1-4*edge)), "above -%d", edge)
		require.Equal(t, codes[1]&^0x80, audio.EncodePCMU(int16(-4*edge)), "at -%d", edge)
	}
	require.Equal(t, byte(0x80), audio.EncodePCMU(math.MaxInt16))
	require.Equal(t, byte(0x00), audio.EncodePCMU(math.MinInt16))
}

// TestEncodeKeepsTheSample: what is lost is at most half a step, which is a 16th of the segment and so about a 32nd of the
// sample, and louder samples never decode to quieter ones.
func TestEncodeKeepsTheSample(t *testing.T) {
	before := math.MinInt
	for s := -32635; s <= 32635; s++ { // G.711 clips beyond
		got := int(audio.DecodePCMU(audio.EncodePCMU(int16(s))))
		if lost := max(got-s, s-got); lost > 4+max(s, -s)/24 {
			t.Fatalf("%d became %d", s, got)
		}
		if got < before {
			t.Fatalf("%d became %d, but the sample below it %d", s, got, before)
		}
		before = got
	}
}

func TestCodesSurviveARoundTrip(t *testing.T) {
	for code := range 256 {
		if code == 0x7f {
			continue // negative zero decodes to zero, which encodes as the positive one
		}
		require.Equal(t, byte(code), audio.EncodePCMU(audio.DecodePCMU(byte(code))))
	}
	require.Equal(t, byte(0xff), audio.EncodePCMU(0))
}

func TestEnergy(t *testing.T) {
	require.Zero(t, audio.Energy(nil))
	require.Zero(t, audio.Energy(audio.Silence()))
	require.Equal(t, 32124.0*32124, audio.Energy([]byte{0x00, 0x80}))
}

func TestPatternsAreWholeFramesOfSound(t *testing.T) {
	for name, p := range map[string]audio.Pattern{"agent": audio.AgentVoice(), "caller": audio.CallerVoice()} {
		for i, f := range p {
			require.Len(t, f, audio.FrameSamples)
			require.Greater(t, audio.Energy(f), 1e6, "%s, frame %d", name, i)
		}
		require.Equal(t, p[0], p.At(len(p)))
		require.Equal(t, p[1], p.At(3*len(p)+1))
	}
	require.NotEqual(t, audio.AgentVoice()[0], audio.CallerVoice()[0])
	require.Len(t, audio.NewPattern(1, audio.Note{Hertz: 440, Length: 21 * time.Millisecond}), 2, "rounded up")
	require.Panics(t, func() { audio.NewPattern(1) })
}

// TestToneHasItsPitch counts the zero crossings of a second of tone.
func TestToneHasItsPitch(t *testing.T) {
	const hertz = 440
	crossings, before := 0, int16(0)
	for _, f := range audio.NewPattern(0.5, audio.Note{Hertz: hertz, Length: time.Second}) {
		for _, b := range f {
			s := audio.DecodePCMU(b)
			if s != 0 {
				if (s < 0) != (before < 0) {
					crossings++
				}
				before = s
			}
		}
	}
	require.InDelta(t, 2*hertz, crossings, 2)
}

func TestDetector(t *testing.T) {
	loud, quiet := audio.CallerVoice().At(2), audio.Silence()
	type heard struct {
		frame   int
		change  audio.Change
		uttered time.Duration
	}
	run := func(pattern ...any) (out []heard) {
		var d audio.Detector
		n := 0
		for i := 0; i < len(pattern); i += 2 {
			for range pattern[i+1].(int) {
				if c := d.Hear(pattern[i].(audio.Frame)); c != audio.Unchanged {
					out = append(out, heard{n, c, d.Utterance()})
				}
				n++
			}
		}
		return out
	}
	require.Empty(t, run(quiet, 500))
	require.Empty(t, run(quiet, 5, loud, 2, quiet, 50, loud, 2, quiet, 50), "clicks")
	require.Equal(t, []heard{
		{12, audio.SpeechBegan, 60 * time.Millisecond}, {51, audio.SpeechEnded, 600 * time.Millisecond},
	}, run(quiet, 10, loud, 30, quiet, 100))
	require.Equal(t, []heard{
		{2, audio.SpeechBegan, 60 * time.Millisecond}, {41, audio.SpeechEnded, 600 * time.Millisecond},
	}, run(loud, 10, quiet, 10, loud, 10, quiet, 100), "a pause between words belongs to the utterance")
	require.Len(t, run(loud, 10, quiet, 20, loud, 10, quiet, 20), 4, "two utterances")
}

func TestFrames(t *testing.T) {
	require.Equal(t, 160, audio.FrameSamples)
	require.Equal(t, []int{0, 1, 1, 2, 50}, []int{audio.Frames(0), audio.Frames(1), audio.Frames(audio.FrameDuration),
		audio.Frames(audio.FrameDuration + 1), audio.Frames(time.Second)})
}

func BenchmarkDetector(b *testing.B) {
	var d audio.Detector
	frame := audio.CallerVoice().At(0)
	b.ReportAllocs()
	for b.Loop() {
		d.Hear(frame)
	}
}
