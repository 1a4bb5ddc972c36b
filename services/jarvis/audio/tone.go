package audio

import (
	"math"
	"time"
)

// Frame is 20 ms of PCMU. Frames are shared by all calls and must not be written to.
type Frame []byte

// Silence is a frame of digital silence: positive zero, which G.711 sends as all ones.
func Silence() Frame {
	f := make(Frame, FrameSamples)
	for i := range f {
		f[i] = EncodePCMU(0)
	}
	return f
}

// Pattern is a sound that repeats: frames made once, played by any number of calls.
type Pattern []Frame

// At is the pattern's i-th frame, from 0, going round.
func (p Pattern) At(i int) Frame { return p[i%len(p)] }

// Note is one tone of a pattern.
type Note struct {
	// Hertz must be below SampleRate/2; 0 is a rest.
	Hertz float64
	// Length is rounded up to whole frames.
	Length time.Duration
}

// The two voices differ, so that a listener, and a spectrum, tells them apart.

// AgentVoice is what the agent speaks with.
func AgentVoice() Pattern {
	return NewPattern(0.5, Note{440, 160 * time.Millisecond}, Note{554.37, 160 * time.Millisecond},
		Note{659.25, 160 * time.Millisecond}, Note{554.37, 160 * time.Millisecond})
}

// CallerVoice is what a simulated caller speaks with.
func CallerVoice() Pattern {
	return NewPattern(0.4, Note{220, 120 * time.Millisecond}, Note{261.63, 120 * time.Millisecond},
		Note{196, 120 * time.Millisecond})
}

// NewPattern renders notes one after another at a level of 0 to 1 of full scale. Each note fades in and out over 5 ms, so
// that none clicks. It panics without notes: a pattern is written in source, not received.
func NewPattern(level float64, notes ...Note) Pattern {
	const fade = SampleRate * 5 / 1000
	var samples []byte
	for _, n := range notes {
		count := Frames(n.Length) * FrameSamples
		for i := range count {
			gain := level * min(1, float64(i)/fade, float64(count-1-i)/fade)
			v := gain * math.Sin(2*math.Pi*n.Hertz*float64(i)/SampleRate)
			samples = append(samples, EncodePCMU(int16(v*math.MaxInt16)))
		}
	}
	if len(samples) == 0 {
		panic("audio: a pattern needs a note") // unreachable: patterns are made of constants
	}
	p := make(Pattern, 0, len(samples)/FrameSamples)
	for ; len(samples) > 0; samples = samples[FrameSamples:] {
		p = append(p, Frame(samples[:FrameSamples:FrameSamples]))
	}
	return p
}
