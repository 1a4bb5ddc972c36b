package peer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/transport/v4/stdnet"
	"github.com/pion/webrtc/v4"

	"github.com/smaran-v2/smaran/services/jarvis/audio"
	"github.com/smaran-v2/smaran/services/jarvis/audio/pace"
	"github.com/smaran-v2/smaran/services/jarvis/call/media"
	"github.com/smaran-v2/smaran/services/jarvis/call/pionlog"
)

// After this long without a packet ICE calls the agent disconnected, and then failed. Both are far behind the watchdog, and
// only end calls whose watchdog is off.
const (
	iceDisconnected = 2 * time.Second
	iceFailed       = 3 * time.Second
	iceKeepalive    = 2 * time.Second
)

// dtlsRetransmission is the agent's: a flight is lost now and then on loopback, when it overtakes ICE.
const dtlsRetransmission = 100 * time.Millisecond

// APIOptions of what all calls of a process share.
type APIOptions struct {
	Log *slog.Logger
	// Local are the addresses to call from, an ephemeral port each and call; empty means 127.0.0.1, which also reaches the
	// rest of 127.0.0.0/8.
	Local []netip.Addr
	// Clock paces the media and times it; nil means the real one. ICE and DTLS keep their own time.
	Clock clockwork.Clock
}

// API is what the calls of a generator process share: settings, one certificate, the sounds, and the wheel that paces them.
type API struct {
	webrtc *webrtc.API
	certs  []webrtc.Certificate
	clock  clockwork.Clock
	log    *slog.Logger
	wheel  *pace.Wheel
	lag    *lag
	sounds sounds
}

type sounds struct {
	silence audio.Frame
	voice   audio.Pattern
}

// NewAPI makes one. Close it once its calls are closed.
func NewAPI(o APIOptions) (*API, error) {
	if o.Clock == nil {
		o.Clock = clockwork.NewRealClock()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if len(o.Local) == 0 {
		o.Local = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the DTLS key: %w", err)
	}
	cert, err := webrtc.GenerateCertificate(key)
	if err != nil {
		return nil, fmt.Errorf("make the DTLS certificate: %w", err)
	}
	engine, err := media.Engine()
	if err != nil {
		return nil, err
	}
	network, err := stdnet.NewNet() // else each call would list the machine's interfaces anew
	if err != nil {
		return nil, fmt.Errorf("list network interfaces: %w", err)
	}
	s := settings(o)
	s.SetNet(network)
	lag := newLag()
	return &API{
		webrtc: webrtc.NewAPI(webrtc.WithMediaEngine(engine), webrtc.WithSettingEngine(s),
			webrtc.WithInterceptorRegistry(new(interceptor.Registry))),
		certs: []webrtc.Certificate{*cert}, clock: o.Clock, log: o.Log, lag: lag,
		wheel:  pace.NewWheel(pace.Options{Interval: audio.FrameDuration, Clock: o.Clock, OnTick: lag.record}),
		sounds: sounds{silence: audio.Silence(), voice: audio.CallerVoice()},
	}, nil
}

func settings(o APIOptions) webrtc.SettingEngine {
	var s webrtc.SettingEngine
	s.LoggerFactory = pionlog.New(o.Log)
	s.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4, webrtc.NetworkTypeUDP6})
	s.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	s.SetIncludeLoopbackCandidate(true)
	s.SetIPFilter(func(ip net.IP) bool {
		addr, ok := netip.AddrFromSlice(ip)
		return ok && slices.Contains(o.Local, addr.Unmap())
	})
	s.SetHostAcceptanceMinWait(0)
	s.SetPrflxAcceptanceMinWait(0)
	s.SetICETimeouts(iceDisconnected, iceFailed, iceKeepalive)
	s.SetDTLSRetransmissionInterval(dtlsRetransmission)
	s.SetDTLSInsecureSkipHelloVerify(true) // ICE has proved the address already: the cookie would cost a round trip
	s.DetachDataChannels()                 // transcripts are read into a small buffer instead of pion's 64 KiB a call
	return s
}

// Close stops pacing. Calls still open send nothing from then on.
func (a *API) Close() { a.wheel.Close() }

// Lag tells how late the process sent its media, since the start or the last ResetLag: when it is large, the generator is
// too slow, and what it measured is not the fleet's.
func (a *API) Lag() Lag { return a.lag.snapshot() }

// ResetLag forgets the lag so far, such as a warm-up's.
func (a *API) ResetLag() { a.lag.reset() }
