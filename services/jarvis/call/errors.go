package call

import "errors"

var (
	// ErrNotHeld: this pod holds no call of that session; it may have ended, or be another pod's.
	ErrNotHeld = errors.New("no call of this session is held here")
	// ErrFull: MaxCalls sessions have a call, or are placing one. Retry later, or at another pod.
	ErrFull = errors.New("the pod holds as many calls as it may")
	// ErrETagMismatch: If-Match names another ICE session than the call's (RFC 9725 section 4.3.1): the call was replaced
	// since. Fetch the new ETag by a new offer.
	ErrETagMismatch = errors.New("If-Match does not name the call's ICE session")
	// ErrBadSDP: the offer cannot be parsed, or offers nothing the agent can answer (it speaks PCMU audio only).
	ErrBadSDP = errors.New("offer not acceptable")
	// ErrBadFragment: the SDP fragment breaks RFC 8840, or is not about this ICE session. ICE restarts are not supported:
	// place a new offer instead.
	ErrBadFragment = errors.New("SDP fragment not acceptable")
	// ErrClosed: the manager is closed, or closed meanwhile.
	ErrClosed = errors.New("calls are closed at this pod")
)
