package peer

import (
	"math/rand/v2"
	"time"

	"github.com/smaran-v2/smaran/services/jarvis/audio"
	"github.com/smaran-v2/smaran/services/jarvis/call/media"
)

// Speech is how a simulated caller talks: pauses and utterances in turn, each between half and one and a half times its mean,
// drawn from the seed. An utterance has the agent infer and answer. The zero value is a caller who never speaks.
type Speech struct {
	// Talk and Pause are the mean lengths; a Talk of 0 is silence throughout.
	Talk, Pause time.Duration
	Seed        uint64
}

// speaker turns Speech into frames. It is the wheel's goroutine's, except for its creation.
type speaker struct {
	track  *media.Track
	sounds sounds
	speech Speech
	rng    *rand.Rand
	// talking and left are the present part and how many of its frames remain; position is how far into it.
	talking        bool
	left, position int
}

func newSpeaker(s Speech, sounds sounds) *speaker {
	sp := &speaker{track: media.NewTrack("microphone", "caller"), sounds: sounds, speech: s,
		rng: rand.New(rand.NewPCG(s.Seed, 0))}
	sp.talking = true // the first turn is to a pause
	return sp
}

// send sends the next 20 ms.
func (s *speaker) send() error {
	frame, began := s.next()
	return s.track.Send(frame, began)
}

func (s *speaker) next() (frame audio.Frame, began bool) {
	if s.speech.Talk <= 0 {
		return s.sounds.silence, false
	}
	for s.left == 0 {
		s.talking, s.position = !s.talking, 0
		mean := s.speech.Pause
		if s.talking {
			mean = s.speech.Talk
		}
		s.left = audio.Frames(time.Duration(float64(mean) * (0.5 + s.rng.Float64())))
	}
	s.left--
	s.position++
	if !s.talking {
		return s.sounds.silence, false
	}
	return s.sounds.voice.At(s.position - 1), s.position == 1
}
