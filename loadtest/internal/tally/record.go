package tally

import (
	"time"

	"github.com/smaran-v2/smaran/loadtest/internal/figures"
	"github.com/smaran-v2/smaran/services/wire"
)

// Class is a disconnect class, as counted in report.v1 under the same name.
type Class string

// The classes. No occurrence is ever counted under two of them because one implies the other; what happens is recorded
// as each class that it is.
const (
	// Misroute: a request, be it an inference or signalling, reached a pod that does not hold the call the caller is on.
	Misroute Class = figures.Misroutes
	// SignalReconnect: the event stream ended and the media went on, as far as the caller knew: no redial was due.
	SignalReconnect Class = figures.SignalReconnects
	// MediaInterruption: a gap in arriving RTP above the threshold.
	MediaInterruption Class = figures.MediaInterruptions
	// Renegotiation: a new peer connection was needed after a loss, once however many attempts it took.
	Renegotiation Class = figures.Renegotiations
	// Migration: the call moved as planned, with two connections for a moment.
	Migration Class = figures.Migrations
	// DroppedNoMedia: no media for ten seconds, at most once a placed call. It can only be seen of losses more than ten seconds
	// before the end; see downAtEnd.
	DroppedNoMedia Class = figures.DroppedNoMedia
	// DroppedStateLost: the call's conversation was lost, at most once a placed call.
	DroppedStateLost Class = figures.DroppedStateLost
	// SetupFailure: one attempt to place a call failed.
	SetupFailure Class = figures.SetupFailures
	// StateLost: an answer did not continue the conversation that its request named. Answers to requests that were sent before
	// the caller saw the loss show the same loss, and do not count again.
	StateLost Class = figures.StateLost
	// Unspoken: an answer that the pod could not speak, because the call is elsewhere and is to stay there.
	Unspoken Class = figures.Unspoken
	// GapOver60ms and GapOver1s: gaps in arriving RTP of at least that length, beside the threshold of an interruption.
	GapOver60ms Class = figures.GapsOver60ms
	GapOver1s   Class = figures.GapsOver1s
	// Forward: a request came to a pod that passed it on to the session's owner. Most such are answered no worse than others.
	Forward Class = figures.Forwards
)

// FirstLoads is the report.v1 count of inferences that no backend could have served warm. Package figures does not show it.
const FirstLoads = wire.CountFirstLoads

// State is what an inference found at its pod.
type State uint8

// States of an answer.
const (
	// Failed: no answer.
	Failed State = iota
	Cold
	Warm
	Cached
)

// States are all of them.
var States = [...]State{Failed, Cold, Warm, Cached}

func (s State) String() string { return [...]string{"failed", "cold", "warm", "cached"}[s] }

// Inference is one finished request. Times count from the start of the run.
type Inference struct {
	Call                 int
	Intended, Sent, Done time.Duration
	State                State
	// First says that the caller had had no answer before, so that no backend could have known the session.
	First bool
	// Pod and Address of who answered; empty where it failed.
	Pod, Address string
	// Error is a problem code or the kind of transport error; empty on an answer.
	Error string
	// Misrouted says that the caller was on a call that the pod does not hold.
	Misrouted bool
	// Route is the coordinator's own decision time, 0 where it does not say.
	Route time.Duration
}

// Latency counts from the intended time, so that waiting in line is not omitted.
func (i Inference) Latency() time.Duration { return i.Done - i.Intended }

// Occurrence is one thing of a class that happened to one caller.
type Occurrence struct {
	At    time.Duration
	Call  int
	Class Class
}

// Setup is one call that was placed.
type Setup struct {
	At   time.Duration
	Call int
	// Took is from the first attempt to the first packet, so that failed attempts and the waits between them count.
	Took   time.Duration
	Redial bool
	Pod    string
}

// Gap is a time without RTP of the agent between two packets of one caller.
type Gap struct {
	Call int
	// At is when it ended, or when measuring did.
	At       time.Duration
	Duration time.Duration
}

// Records is everything that callers saw.
type Records struct {
	Inferences  []Inference
	Occurrences []Occurrence
	Setups      []Setup
	// Losses are the moments in which calls went down; Setups bring them up.
	Losses []Occurrence
	// Gaps has the longest gap of each call that ended in each slice of GapSlice.
	Gaps []Gap
	// Errors of everything but inferences, by code: signalling, control messages, candidates.
	SideErrors map[string]uint64
}

// GapSlice is the time of which a call's longest gap is kept.
const GapSlice = time.Second
