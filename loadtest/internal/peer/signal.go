package peer

import "context"

// Answer is what signalling brings back for an offer.
type Answer struct {
	// SDP is the agent's answer, with all of its candidates.
	SDP string
	// ETag and Location are the WHIP resource's (RFC 9725 section 4.2); empty where the signaler has none.
	ETag, Location string
	// Pod and Incarnation name who answered.
	Pod, Incarnation string
}

// Signaler carries an offer to an agent. The offer holds no candidates: the agent learns the caller's address from its
// connectivity checks, so nothing waits for gathering.
type Signaler interface {
	Offer(ctx context.Context, sdp string) (Answer, error)
}
