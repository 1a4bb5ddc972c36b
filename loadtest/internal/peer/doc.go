// Package peer is the caller's end of a call: it dials an agent, sends speech and silence, and measures what arrives. A call
// is one WebRTC connection; a Meter outlives calls, so that the gap across a redial is measured like any other.
//
// It does no signalling of its own (Signaler) and decides nothing: when to dial, redial or give up is the simulated
// client's business.
package peer
