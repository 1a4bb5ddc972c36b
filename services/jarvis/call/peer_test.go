package call_test

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/jarvis/audio"
	"github.com/smaran-v2/smaran/services/jarvis/call"
	"github.com/smaran-v2/smaran/services/jarvis/call/media"
	"github.com/smaran-v2/smaran/services/session"
)

// caller is a real peer on loopback that sends a frame when the test says so, and keeps what it hears.
type caller struct {
	pc    *webrtc.PeerConnection
	mic   *media.Track
	heard chan *rtp.Packet
	// gone is closed when the pod has closed its end.
	gone chan struct{}
}

// place is Offer or Standby.
type place func(*call.Manager, context.Context, session.ID, string) (call.Answered, error)

// dial places a call and returns once the pod is connected. One that is deaf to the caller (recvonly) has no microphone.
func dial(t testing.TB, p *pod, id session.ID, place place, microphone bool) *caller {
	t.Helper()
	engine, err := media.Engine()
	require.NoError(t, err)
	var s webrtc.SettingEngine
	s.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	s.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	s.SetIncludeLoopbackCandidate(true)
	s.SetIPFilter(net.IP.IsLoopback)
	s.SetDTLSRetransmissionInterval(100 * time.Millisecond)
	c := &caller{mic: media.NewTrack("microphone", "caller"), heard: make(chan *rtp.Packet, 10_000), gone: make(chan struct{})}
	c.pc, err = webrtc.NewAPI(webrtc.WithMediaEngine(engine), webrtc.WithSettingEngine(s)).NewPeerConnection(webrtc.Configuration{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.pc.GracefulClose()) })
	c.pc.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		for {
			packet, _, err := track.ReadRTP()
			if err != nil {
				return
			}
			c.heard <- packet
		}
	})
	gone := sync.OnceFunc(func() { close(c.gone) })
	c.pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		if s == webrtc.PeerConnectionStateClosed || s == webrtc.PeerConnectionStateFailed {
			gone()
		}
	})
	if microphone {
		_, err = c.pc.AddTrack(c.mic)
	} else {
		_, err = c.pc.AddTransceiverFromKind(webrtc.RTPCodecTypeAudio, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly})
	}
	require.NoError(t, err)
	offer, err := c.pc.CreateOffer(nil)
	require.NoError(t, err)
	gathered := webrtc.GatheringCompletePromise(c.pc)
	require.NoError(t, c.pc.SetLocalDescription(offer))
	<-gathered
	answered, err := place(p.Manager, within(t), id, c.pc.LocalDescription().SDP)
	require.NoError(t, err)
	require.NoError(t, c.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answered.SDP}))
	return c
}

// connected waits until the pod is connected: then it says that what it has to say will be heard.
func (p *pod) connected(t testing.TB, id session.ID, text string) {
	t.Helper()
	require.Eventually(t, func() bool {
		spoken, err := p.Say(id, text, 1)
		return err == nil && spoken
	}, patience, time.Millisecond)
}

// speaksUntil sends frames until the condition holds.
func (c *caller) speaksUntil(t testing.TB, condition func() bool) {
	t.Helper()
	require.Eventually(t, func() bool {
		require.NoError(t, c.mic.Send(audio.Silence(), false))
		return condition()
	}, patience, time.Millisecond)
}

// tap is a pod's socket that counts the packets of media that go out (RFC 7983 tells them from STUN and DTLS, RFC 5761 from RTCP).
type tap struct {
	*net.UDPConn
	media atomic.Int64
}

func (s *tap) WriteTo(b []byte, to net.Addr) (int, error) {
	if 128 <= b[0] && b[0] < 192 && !(192 <= b[1] && b[1] < 224) {
		s.media.Add(1)
	}
	return s.UDPConn.WriteTo(b, to)
}

// tapped puts a tap on a pod's socket.
func tapped(s *tap) func(*call.Config) {
	return func(c *call.Config) {
		s.UDPConn = c.Media.(*net.UDPConn)
		c.Media = s
	}
}
