package call

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/transport/v4/stdnet"
	"github.com/pion/webrtc/v4"

	"github.com/smaran-v2/smaran/services/jarvis/call/media"
	"github.com/smaran-v2/smaran/services/jarvis/call/pionlog"
)

// socketBuffer is asked for in both directions, in bytes: what 200 calls send in about 3 s, for when the pod is not
// scheduled. The OS may grant less (net.core.rmem_max).
const socketBuffer = 8 << 20

// After this long without a packet, a caller who does not send the 50 a second he owes is gone. pion's own defaults are 5 s
// and 25 s.
const (
	iceDisconnected = 2 * time.Second
	iceFailed       = 3 * time.Second
	iceKeepalive    = 2 * time.Second
)

// dtlsRetransmission is after what time a DTLS flight that was lost is sent again. A flight is lost about once in a thousand
// handshakes on loopback (it overtakes ICE), and pion's default of 1 s would then be the set-up time.
const dtlsRetransmission = 100 * time.Millisecond

// newAPI makes what all calls of a manager share.
func newAPI(cfg Config) (ice.UDPMux, *webrtc.API, []webrtc.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("make the DTLS key: %w", err)
	}
	cert, err := webrtc.GenerateCertificate(key)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("make the DTLS certificate: %w", err)
	}
	engine, err := media.Engine()
	if err != nil {
		return nil, nil, nil, err
	}

	network, err := stdnet.NewNet() // else each call would list the machine's interfaces anew
	if err != nil {
		return nil, nil, nil, fmt.Errorf("list network interfaces: %w", err)
	}
	var s webrtc.SettingEngine
	s.SetNet(network)
	s.LoggerFactory = pionlog.New(cfg.Log)
	s.SetLite(cfg.ICELite)
	s.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4, webrtc.NetworkTypeUDP6})
	s.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	s.SetIncludeLoopbackCandidate(true)
	s.SetHostAcceptanceMinWait(0)
	s.SetPrflxAcceptanceMinWait(0)
	s.SetICETimeouts(iceDisconnected, iceFailed, iceKeepalive)
	s.SetDTLSRetransmissionInterval(dtlsRetransmission)
	s.SetDTLSInsecureSkipHelloVerify(true) // ICE has proved the address already: the cookie would cost a round trip
	s.DetachDataChannels()                 // the agent only writes: saves a goroutine and pion's 64 KiB buffer a call
	if len(cfg.AdvertiseIPs) > 0 {
		err := s.SetICEAddressRewriteRules(webrtc.ICEAddressRewriteRule{
			External: cfg.AdvertiseIPs, AsCandidateType: webrtc.ICECandidateTypeHost, Mode: webrtc.ICEAddressRewriteReplace,
		})
		if err != nil {
			return nil, nil, nil, fmt.Errorf("advertise %v: %w", cfg.AdvertiseIPs, err)
		}
	}
	growBuffers(cfg)
	mux := webrtc.NewICEUDPMux(s.LoggerFactory.NewLogger("mux"), cfg.Media)
	s.SetICEUDPMux(mux)
	api := webrtc.NewAPI(webrtc.WithMediaEngine(engine), webrtc.WithSettingEngine(s),
		webrtc.WithInterceptorRegistry(new(interceptor.Registry)))
	return mux, api, []webrtc.Certificate{*cert}, nil
}

// growBuffers asks for bigger socket buffers; a connection that has none, or an OS that refuses, changes nothing.
func growBuffers(cfg Config) {
	socket, ok := cfg.Media.(interface {
		SetReadBuffer(bytes int) error
		SetWriteBuffer(bytes int) error
	})
	if !ok {
		return
	}
	if err := errors.Join(socket.SetReadBuffer(socketBuffer), socket.SetWriteBuffer(socketBuffer)); err != nil {
		cfg.Log.Debug("media socket keeps its buffers", "error", err)
	}
}
