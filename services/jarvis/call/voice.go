package call

import (
	"crypto/rand"
	"encoding/binary"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"github.com/smaran-v2/smaran/services/jarvis/audio"
)

// How long the agent speaks: proportional to what it says, within bounds.
const (
	speechPerByte = 40 * time.Millisecond
	minSpeech     = 400 * time.Millisecond
	maxSpeech     = 4 * time.Second
)

// frameTicks is by how much RTP time advances with a frame.
const frameTicks = uint32(audio.FrameSamples)

// voice is the agent's audio track: a frame at every tick, silence when there is nothing to say, under one sequence and one
// media clock from the first to the last. It is pion's TrackLocal, written to directly because every packet passes here.
type voice struct {
	sounds sounds
	bound  atomic.Pointer[binding]
	muted  atomic.Bool
	// left counts the frames still to be spoken.
	left atomic.Int64

	// The rest is the wheel's goroutine's.
	header   rtp.Header
	position int
}

type binding struct {
	to          webrtc.TrackLocalWriter
	ssrc        uint32
	payloadType uint8
}

func newVoice(s sounds) *voice {
	// RFC 3550 section 5.1: both start at random.
	var seed [6]byte
	rand.Read(seed[:]) // never fails
	return &voice{sounds: s, header: rtp.Header{
		Version: 2, SequenceNumber: binary.BigEndian.Uint16(seed[:]), Timestamp: binary.BigEndian.Uint32(seed[2:]),
	}}
}

// Tick sends the next frame (pace.Member). After a stall the media clock goes on where it stopped: the frames of the
// stall were never made, which a receiver tells from frames that were lost.
func (v *voice) Tick(time.Duration) {
	b := v.bound.Load()
	if b == nil {
		return
	}
	frame := v.next()
	h := &v.header
	h.SSRC, h.PayloadType = b.ssrc, b.payloadType
	_, _ = b.to.WriteRTP(h, frame) // media is not repeated: a call that cannot send is ended by ICE or DTLS
	h.SequenceNumber++
	h.Timestamp += frameTicks
}

// next also sets the marker: on the first frame of speech after silence (RFC 3551 section 4.1).
func (v *voice) next() audio.Frame {
	v.header.Marker = false
	if v.left.Load() <= 0 || v.muted.Load() {
		v.position = 0
		return v.sounds.silence
	}
	v.left.Add(-1)
	v.header.Marker = v.position == 0
	v.position++
	return v.sounds.voice.At(v.position - 1)
}

// speak begins to say text, after what is being said already. It reports whether it will be heard.
func (v *voice) speak(text string) bool {
	if v.muted.Load() || v.bound.Load() == nil {
		return false
	}
	length := min(max(minSpeech, time.Duration(len(text))*speechPerByte), maxSpeech)
	v.left.Add(int64(audio.Frames(length)))
	return true
}

// mute also drops what was left to say.
func (v *voice) mute(muted bool) {
	v.muted.Store(muted)
	if muted {
		v.left.Store(0)
	}
}

// Bind is called by pion once the codec is negotiated; WriteRTP does nothing until DTLS is up.
func (v *voice) Bind(c webrtc.TrackLocalContext) (webrtc.RTPCodecParameters, error) {
	for _, codec := range c.CodecParameters() {
		if codec.MimeType == audio.MimeType {
			v.bound.Store(&binding{to: c.WriteStream(), ssrc: uint32(c.SSRC()), payloadType: uint8(codec.PayloadType)})
			return codec, nil
		}
	}
	return webrtc.RTPCodecParameters{}, webrtc.ErrUnsupportedCodec
}

// Unbind is called by pion when the track ends.
func (v *voice) Unbind(webrtc.TrackLocalContext) error {
	v.bound.Store(nil)
	return nil
}

func (v *voice) ID() string                { return "voice" }
func (v *voice) RID() string               { return "" }
func (v *voice) StreamID() string          { return "agent" }
func (v *voice) Kind() webrtc.RTPCodecType { return webrtc.RTPCodecTypeAudio }
