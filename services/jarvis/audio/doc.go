// Package audio is the little sound a simulated call needs: PCMU (G.711 mu-law) both ways, tones made once and shared by
// every call, and an energy detector that tells speech from silence. It resamples nothing, mixes nothing, and does no I/O.
//
// Both ends of a call use it: the agent in a pod and the caller in the load generator.
package audio

import "time"

// What PCMU is on the wire (RFC 3551 section 4.5.14): 8000 samples a second, one byte each, static payload type 0.
const (
	SampleRate  = 8000
	PayloadType = 0
	MimeType    = "audio/PCMU"
)

// Media is framed at RFC 3551's default of 20 ms.
const (
	FrameDuration = 20 * time.Millisecond
	// FrameSamples is how many samples, and PCMU bytes, a frame has, and by how much RTP time advances with it.
	FrameSamples = SampleRate * int(FrameDuration/time.Millisecond) / 1000
)

// Frames is how many frames cover d, rounded up.
func Frames(d time.Duration) int { return int((d + FrameDuration - 1) / FrameDuration) }
