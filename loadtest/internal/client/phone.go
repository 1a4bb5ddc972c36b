package client

import (
	"context"
	"time"
)

// Offered is a placed call as signalling sees it.
type Offered struct {
	SDP string
	// ETag and Location are the WHIP resource's (RFC 9725 section 4.2).
	ETag, Location string
	// Pod and Incarnation hold the call.
	Pod, Incarnation string
}

// Offer sends an SDP offer and returns the answer.
type Offer func(ctx context.Context, sdp string) (Offered, error)

// Phone makes peer connections for one caller. The media that it measures goes on over redials.
type Phone interface {
	// Dial places a call and returns when its first packet of the agent has come. The end of ctx is a failed set-up, but does
	// not end a call that is up.
	Dial(ctx context.Context, offer Offer) (Line, error)
}

// Line is one peer connection.
type Line interface {
	// Lost is closed when no packet has come for the watchdog's time, or the connection closed.
	Lost() <-chan struct{}
	// SetupTime is from Dial to the first packet.
	SetupTime() time.Duration
	// LateCandidate is an SDP fragment (RFC 8840) for a trickle.
	LateCandidate() string
	Close() error
}
