package peer

import "errors"

var (
	// ErrNoMedia: no RTP packet came for as long as the watchdog waits.
	ErrNoMedia = errors.New("no media from the agent")
	// ErrPeerClosed: the agent closed the connection, or ICE gave it up.
	ErrPeerClosed = errors.New("the agent's end is closed")
	// ErrSetup: no connection with media came about. It wraps the cause, such as the signaler's error or the context's.
	ErrSetup = errors.New("call not set up")
)
