package turn_test

import (
	"net"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/webrtc/v4"
	"github.com/stretchr/testify/require"
)

// peerOn is a WebRTC peer that has candidates on one address alone; none where the address is nil, so that it calls through the relay.
func peerOn(t *testing.T, on net.IP, c webrtc.Configuration) *webrtc.PeerConnection {
	t.Helper()
	var s webrtc.SettingEngine
	s.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	s.SetIncludeLoopbackCandidate(true)
	s.SetIPFilter(func(ip net.IP) bool { return on == nil || ip.Equal(on) })
	s.SetRelayAcceptanceMinWait(0)
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(s)).NewPeerConnection(c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pc.GracefulClose()) })
	return pc
}

func TestACallGoesThroughTheRelayAlone(t *testing.T) {
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			r, who := start(t), good(t, "alice")
			caller := peerOn(t, nil, webrtc.Configuration{
				ICETransportPolicy: webrtc.ICETransportPolicyRelay,
				ICEServers: []webrtc.ICEServer{{
					URLs: []string{"turn:" + r.address + "?transport=" + transport}, Username: who.Username, Credential: who.Password,
				}},
			})
			pod := peerOn(t, machine(t).AsSlice(), webrtc.Configuration{})
			heard := make(chan string, 1)
			pod.OnDataChannel(func(d *webrtc.DataChannel) {
				d.OnMessage(func(m webrtc.DataChannelMessage) { heard <- string(m.Data) })
			})
			said, err := caller.CreateDataChannel("hello", nil)
			require.NoError(t, err)
			said.OnOpen(func() { _ = said.SendText("hello") }) // what is not heard fails the test
			connect(t, caller, pod)
			select {
			case text := <-heard:
				require.Equal(t, "hello", text)
			case <-time.After(deadline):
				t.Fatal("nothing is heard")
			}
			pair, err := caller.SCTP().Transport().ICETransport().GetSelectedCandidatePair()
			require.NoError(t, err)
			require.Equal(t, webrtc.ICECandidateTypeRelay, pair.Local.Typ)
			require.Equal(t, machine(t).String(), pair.Remote.Address)
			metrics := r.get(t, "/metrics")
			require.Contains(t, metrics, `turn_allocations{transport="`+transport+`"}`)
			require.NotContains(t, metrics, `turn_allocations{transport="`+transport+`"} 0`)
		})
	}
}

func connect(t *testing.T, caller, pod *webrtc.PeerConnection) {
	t.Helper()
	offer, err := caller.CreateOffer(nil)
	require.NoError(t, err)
	gathered := webrtc.GatheringCompletePromise(caller)
	require.NoError(t, caller.SetLocalDescription(offer))
	<-gathered
	require.NoError(t, pod.SetRemoteDescription(*caller.LocalDescription()))
	answer, err := pod.CreateAnswer(nil)
	require.NoError(t, err)
	gathered = webrtc.GatheringCompletePromise(pod)
	require.NoError(t, pod.SetLocalDescription(answer))
	<-gathered
	require.NoError(t, caller.SetRemoteDescription(*pod.LocalDescription()))
}
