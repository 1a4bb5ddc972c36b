// Package media is what both ends of a call have in common: the one codec they speak, and the track that sends frames of it.
// It says neither what is sent nor when.
package media

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"sync/atomic"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"github.com/smaran-v2/smaran/services/jarvis/audio"
)

// Codec is the one codec a call speaks, at its static payload type.
func Codec() webrtc.RTPCodecParameters {
	return webrtc.RTPCodecParameters{
		RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: audio.MimeType, ClockRate: audio.SampleRate},
		PayloadType:        audio.PayloadType,
	}
}

// Engine is a media engine that knows Codec only.
func Engine() (*webrtc.MediaEngine, error) {
	e := new(webrtc.MediaEngine)
	if err := e.RegisterCodec(Codec(), webrtc.RTPCodecTypeAudio); err != nil {
		return nil, fmt.Errorf("register PCMU: %w", err)
	}
	return e, nil
}

// frameTicks is by how much RTP time advances with a frame.
const frameTicks = uint32(audio.FrameSamples)

// Track sends frames under one sequence and one media clock, which start at random (RFC 3550 section 5.1) and advance by one
// frame for each frame sent, whenever that is. It is a webrtc.TrackLocal for one peer connection. pion's own tracks cost an
// allocation and two locks a packet more.
type Track struct {
	id, stream string
	bound      atomic.Pointer[binding]
	header     rtp.Header
}

type binding struct {
	to          webrtc.TrackLocalWriter
	ssrc        uint32
	payloadType uint8
}

// NewTrack names the track and its stream, as the other end will see them.
func NewTrack(id, stream string) *Track {
	var seed [6]byte
	rand.Read(seed[:]) // never fails
	return &Track{id: id, stream: stream, header: rtp.Header{
		Version: 2, SequenceNumber: binary.BigEndian.Uint16(seed[:]), Timestamp: binary.BigEndian.Uint32(seed[2:]),
	}}
}

// Send sends a frame; talks marks the first one of speech after silence (RFC 3551 section 4.1). Before the connection is up
// it does nothing. It must not be called concurrently.
func (t *Track) Send(frame audio.Frame, talks bool) error {
	b := t.bound.Load()
	if b == nil {
		return nil
	}
	h := &t.header
	h.SSRC, h.PayloadType, h.Marker = b.ssrc, b.payloadType, talks
	_, err := b.to.WriteRTP(h, frame)
	h.SequenceNumber++
	h.Timestamp += frameTicks
	return err
}

// Bind is called by pion once the codec is negotiated. Frames go out once DTLS is up.
func (t *Track) Bind(c webrtc.TrackLocalContext) (webrtc.RTPCodecParameters, error) {
	for _, codec := range c.CodecParameters() {
		if codec.MimeType == audio.MimeType {
			t.bound.Store(&binding{to: c.WriteStream(), ssrc: uint32(c.SSRC()), payloadType: uint8(codec.PayloadType)})
			return codec, nil
		}
	}
	return webrtc.RTPCodecParameters{}, webrtc.ErrUnsupportedCodec
}

// Unbind is called by pion when the track ends.
func (t *Track) Unbind(webrtc.TrackLocalContext) error {
	t.bound.Store(nil)
	return nil
}

// ID, RID, StreamID and Kind are how pion describes the track.
func (t *Track) ID() string { return t.id }

// RID is empty: there is no simulcast.
func (t *Track) RID() string { return "" }

// StreamID groups tracks that belong together.
func (t *Track) StreamID() string { return t.stream }

// Kind is audio.
func (t *Track) Kind() webrtc.RTPCodecType { return webrtc.RTPCodecTypeAudio }
