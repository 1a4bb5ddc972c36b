package call

import (
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"github.com/smaran-v2/smaran/services/jarvis/audio"
)

// maxPacket is above any packet pion delivers: its receive MTU is 1460 bytes.
const maxPacket = 1500

// onTrack listens to the caller until the track ends. pion gives each track a goroutine, which this keeps.
func (c *agent) onTrack(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
	if track.Kind() != webrtc.RTPCodecTypeAudio || !c.enter() {
		return
	}
	defer c.work.Done()
	var (
		buf      = make([]byte, maxPacket)
		header   rtp.Header
		detector audio.Detector
	)
	for {
		n, _, err := track.Read(buf)
		if err != nil {
			return // the call ended, or the caller took the track away: either way there is no more to hear
		}
		start, err := header.Unmarshal(buf[:n])
		if header.Padding {
			n -= int(buf[n-1]) // RFC 3550 section 5.1: the last byte counts itself
		}
		if err != nil || start >= n {
			continue
		}
		c.heard()
		if detector.Hear(buf[start:n]) == audio.SpeechEnded {
			c.reply(detector.Utterance())
		}
	}
}
