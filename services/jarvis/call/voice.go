package call

import (
	"sync/atomic"
	"time"

	"github.com/smaran-v2/smaran/services/jarvis/audio"
	"github.com/smaran-v2/smaran/services/jarvis/call/media"
)

// How long the agent speaks: proportional to what it says, within bounds.
const (
	speechPerByte = 40 * time.Millisecond
	minSpeech     = 400 * time.Millisecond
	maxSpeech     = 4 * time.Second
)

// voice is what the agent sends: a frame at every tick, silence when there is nothing to say.
type voice struct {
	track  *media.Track
	sounds sounds
	muted  atomic.Bool
	// left counts the frames still to be spoken.
	left atomic.Int64
	// position is how far the present speech is, in frames; the wheel's goroutine's.
	position int
}

func newVoice(s sounds) *voice { return &voice{track: media.NewTrack("voice", "agent"), sounds: s} }

// Tick sends the next frame (pace.Member). After a stall the media clock goes on where it stopped: the frames of the
// stall were never made, which a receiver tells from frames that were lost.
func (v *voice) Tick(time.Duration) {
	frame, began := v.next()
	_ = v.track.Send(frame, began) // media is not repeated: a call that cannot send is ended by ICE or DTLS
}

func (v *voice) next() (frame audio.Frame, began bool) {
	if v.left.Load() <= 0 || v.muted.Load() {
		v.position = 0
		return v.sounds.silence, false
	}
	v.left.Add(-1)
	v.position++
	return v.sounds.voice.At(v.position - 1), v.position == 1
}

// speak begins to say text, in place of what is left of the last: an agent that is asked faster than it talks must not fall
// behind for ever. It reports whether it will be heard.
func (v *voice) speak(text string) bool {
	if v.muted.Load() {
		return false
	}
	length := min(max(minSpeech, time.Duration(len(text))*speechPerByte), maxSpeech)
	v.left.Store(int64(audio.Frames(length)))
	return true
}

// remaining is how long what is being said still takes.
func (v *voice) remaining() time.Duration { return time.Duration(v.left.Load()) * audio.FrameDuration }

// resume goes on with what was being said elsewhere, unless there is something newer to say.
func (v *voice) resume(left time.Duration) {
	if !v.muted.Load() {
		v.left.CompareAndSwap(0, int64(audio.Frames(min(left, maxSpeech))))
	}
}

// mute also drops what was left to say.
func (v *voice) mute(muted bool) {
	v.muted.Store(muted)
	if muted {
		v.left.Store(0)
	}
}
