package call

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/smaran-v2/smaran/services/session"
)

// DefaultICELite is whether a pod is an ICE-lite agent where nothing says otherwise: the better one with a pion caller on
// loopback, by the caller's BenchmarkHandshake (package peer). A lite agent sends no checks of its own, and pion, when it
// controls, nominates at once only in answer to one; else at its next check, 200 ms later.
const DefaultICELite = false

// Answer is what the agent has to say.
type Answer struct {
	Text string
	// Turn and Checksum place the answer in the conversation.
	Turn     uint64
	Checksum string
}

// Responder infers an answer for a session whose caller has spoken; prompt describes what was heard. ctx ends with the call.
type Responder func(ctx context.Context, id session.ID, prompt string) (Answer, error)

// Config of a Manager.
type Config struct {
	// Media is the UDP socket that all calls share. The manager owns it: Close closes it, and so does a failing New. A
	// *net.UDPConn is read and written without allocating. Bind it to one address; with an unspecified one, every address
	// of the machine becomes a candidate.
	Media net.PacketConn
	// AdvertiseIPs, where there are any, replace the socket's address in candidates: the addresses under which peers reach it, each some of
	// them. The port is never rewritten.
	AdvertiseIPs []string
	// ICELite answers checks and sends none (RFC 8445 section 2.5); see DefaultICELite.
	ICELite bool
	// MaxCalls bounds how many sessions have a call at once; must be above 0.
	MaxCalls int
	// Heartbeat is the interval of Watch's heartbeats; must be above 0.
	Heartbeat time.Duration
	// SetupTimeout ends a call whose peer has not connected by then; 0 means 10 s.
	SetupTimeout time.Duration
	// Clock defaults to the real one. ICE, DTLS and SCTP keep their own time.
	Clock clockwork.Clock
	Log   *slog.Logger
	// Respond answers a caller who has spoken.
	Respond Responder
	// OnMedia, where set, is told of the first media on a call that is on standby, from a goroutine of the call's. It says whether the
	// session came here, so that the agent may speak; ctx ends with the call.
	OnMedia func(ctx context.Context, id session.ID) bool
	// OnEnd, where set, is told of each call that ends, once, after it was closed (with ReasonMoved before), from a goroutine of its own.
	// With ReasonReplaced the session still has a call.
	OnEnd func(id session.ID, reason string)
}

// Reasons for which a call ends. Watch tells all but ReasonClosed.
const (
	// ReasonHangup: Hangup was called.
	ReasonHangup = "hangup"
	// ReasonReplaced: a later offer of the same session took its place.
	ReasonReplaced = "replaced"
	// ReasonNotGranted: a call on standby, whose session stayed where it is.
	ReasonNotGranted = "not_granted"
	// ReasonMoved: the session is another pod's now, where it has a call of its own.
	ReasonMoved = "moved"
	// ReasonPeerClosed: the peer closed its end, or has not been heard of for too long.
	ReasonPeerClosed = "peer_closed"
	// ReasonExpired: the peer never connected.
	ReasonExpired = "expired"
	// ReasonClosed: the manager was closed.
	ReasonClosed = "closed"
)

const defaultSetupTimeout = 10 * time.Second

func (c Config) withDefaults() (Config, error) {
	var errs []error
	if c.Media == nil {
		errs = append(errs, errors.New("the field Media: expected an open UDP socket"))
	}
	for _, ip := range c.AdvertiseIPs {
		if net.ParseIP(ip) == nil {
			errs = append(errs, fmt.Errorf("the field AdvertiseIPs: expected an IP address such as 192.0.2.7, got %q", ip))
		}
	}
	if c.MaxCalls <= 0 {
		errs = append(errs, fmt.Errorf("the field MaxCalls: expected above 0, got %d", c.MaxCalls))
	}
	if c.Heartbeat <= 0 {
		errs = append(errs, fmt.Errorf("the field Heartbeat: expected above 0, got %s", c.Heartbeat))
	}
	if c.Log == nil || c.Respond == nil {
		errs = append(errs, errors.New("the fields Log and Respond: expected both"))
	}
	if c.SetupTimeout == 0 {
		c.SetupTimeout = defaultSetupTimeout
	}
	if c.Clock == nil {
		c.Clock = clockwork.NewRealClock()
	}
	if err := errors.Join(errs...); err != nil {
		return c, fmt.Errorf("call config: %w", err)
	}
	return c, nil
}
