package audio

import "time"

// Detector finds utterances in a stream of frames by their energy. Speech begins with attack loud frames in a row and ends
// with release quiet ones, so that neither a click nor a pause between words counts. It is one listener's, not safe for
// concurrent use; the zero value is ready.
type Detector struct {
	speaking bool
	// run counts the frames in a row that speak against the present state; speech those since the utterance began.
	run, speech int
}

const (
	// threshold is -40 dBFS as a mean square: (0.01 * 32767)^2.
	threshold = 327.67 * 327.67
	attack    = 3
	release   = 12
)

// Change is what a frame did to the detector's state.
type Change int

const (
	Unchanged Change = iota
	// SpeechBegan: the last attack frames were loud.
	SpeechBegan
	// SpeechEnded: the last release frames were quiet; Detector.Utterance is complete.
	SpeechEnded
)

// Hear takes the next frame of PCMU.
func (d *Detector) Hear(pcmu []byte) Change {
	loud := Energy(pcmu) >= threshold
	if d.speaking {
		d.speech++
	}
	if loud == d.speaking {
		d.run = 0
		return Unchanged
	}
	d.run++
	switch {
	case !d.speaking && d.run >= attack:
		d.speaking, d.speech, d.run = true, d.run, 0
		return SpeechBegan
	case d.speaking && d.run >= release:
		d.speaking, d.speech, d.run = false, d.speech-d.run, 0
		return SpeechEnded
	}
	return Unchanged
}

// Utterance is how long the present or last utterance is, its trailing quiet left out once it has ended.
func (d *Detector) Utterance() time.Duration { return time.Duration(d.speech) * FrameDuration }
