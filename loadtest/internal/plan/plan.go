package plan

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/smaran-v2/smaran/services/session"
)

// Kind is what a caller does at an intended time.
type Kind uint8

// What callers do.
const (
	// Place puts the call up, for the first time.
	Place Kind = iota
	// Infer asks the agent something.
	Infer
	// Trickle sends an ICE candidate late, as WHIP's PATCH.
	Trickle
	// Control sends a control message to the call.
	Control
)

// Action is one intended send. At counts from the start of the run, warm-up included.
type Action struct {
	At   time.Duration
	Call int
	Kind Kind
}

// Load is what to plan.
type Load struct {
	// Calls is the number of simulated callers, at least 1.
	Calls int
	// Rate is inference requests a second over all callers together. It is positive.
	Rate float64
	// CallRate is calls placed a second; 0 spreads them over the first half of the warm-up.
	CallRate float64
	// Warmup is thrown away; Duration is the measured part after it.
	Warmup, Duration time.Duration
	Seed             uint64
	// Headerless callers only ask for inferences.
	Headerless bool
}

// Plan is a whole run's intended sends.
type Plan struct {
	Load     Load
	Sessions []session.ID
	// Starts is when each call is placed.
	Starts []time.Duration
	// Actions of all callers, by time.
	Actions []Action
}

// ErrLoad is returned for a load that can't be planned.
var ErrLoad = errors.New("bad load")

const (
	// signalEvery is how often a caller sends a late candidate, and how often a control message.
	signalEvery = 5 * time.Second
	// firstTrickle and firstControl are how long after the call neither comes.
	firstTrickle, firstControl = time.Second, 2 * time.Second
	// longestRamp bounds the time in which calls are placed where nothing else is asked for.
	longestRamp = 10 * time.Second
)

// maxRate bounds the requests a second of one caller.
const maxRate = 1000

// planStream is of all draws for times: "plan", another stream than the sessions'.
const planStream = 0x706c616e

// New plans a load. It fails with ErrLoad.
//
// Each caller's requests are one period (Calls/Rate) apart, starting at a random phase, and each is moved by up to a
// quarter of the period either way. A caller speaks in turns, so a Poisson process within one call would be wrong; over many
// callers with random phases the arrivals come close to one.
func New(l Load) (Plan, error) {
	switch {
	case l.Calls < 1:
		return Plan{}, fmt.Errorf("%w: %d calls, want at least 1", ErrLoad, l.Calls)
	case !(l.Rate > 0):
		return Plan{}, fmt.Errorf("%w: a rate of %v requests a second, want more than 0", ErrLoad, l.Rate)
	case l.Rate > maxRate*float64(l.Calls):
		return Plan{}, fmt.Errorf("%w: a rate of %v requests a second over %d calls, want %d a call at most: place more calls", ErrLoad, l.Rate, l.Calls, maxRate)
	case l.CallRate < 0:
		return Plan{}, fmt.Errorf("%w: a call rate of %v a second, want 0 or more", ErrLoad, l.CallRate)
	case l.Warmup < 0 || l.Duration <= 0:
		return Plan{}, fmt.Errorf("%w: a warm-up of %v and a duration of %v, want 0s or more and more than 0s", ErrLoad, l.Warmup, l.Duration)
	}
	p := Plan{Load: l, Sessions: Sessions(l.Seed, l.Calls)}
	random := rand.New(rand.NewPCG(l.Seed, planStream))
	spacing := l.spacing()
	end := l.Warmup + l.Duration
	for call := range l.Calls {
		start := time.Duration(call) * spacing
		p.Starts = append(p.Starts, start)
		if !l.Headerless {
			p.Actions = append(p.Actions, Action{At: start, Call: call, Kind: Place})
			p.every(random, call, Trickle, start+firstTrickle, end, signalEvery)
			p.every(random, call, Control, start+firstControl, end, signalEvery)
		}
		p.every(random, call, Infer, start, end, l.period())
	}
	slices.SortStableFunc(p.Actions, func(a, b Action) int { return cmp.Compare(a.At, b.At) })
	return p, nil
}

// Sessions derives n session ids from the seed: version 4 UUIDs, as a caller would mint.
func Sessions(seed uint64, n int) []session.ID {
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	random := rand.NewChaCha8(key)
	out := make([]session.ID, n)
	for i := range out {
		id, err := uuid.NewRandomFromReader(random)
		if err != nil {
			panic(err) // unreachable: ChaCha8 never fails to read
		}
		out[i] = session.ID(id.String())
	}
	return out
}

// every adds the actions of one schedule.
func (p *Plan) every(random *rand.Rand, call int, kind Kind, from, until, period time.Duration) {
	schedule := NewSchedule(random, from, period)
	for at, ok := schedule.Next(until); ok; at, ok = schedule.Next(until) {
		p.Actions = append(p.Actions, Action{At: at, Call: call, Kind: kind})
	}
}

// period is the time between two requests of one caller.
func (l Load) period() time.Duration {
	return time.Duration(float64(l.Calls) / l.Rate * float64(time.Second))
}

// spacing is the time between two calls being placed.
func (l Load) spacing() time.Duration {
	if l.CallRate > 0 {
		return time.Duration(float64(time.Second) / l.CallRate)
	}
	return min(l.Warmup/2, longestRamp) / time.Duration(l.Calls)
}

// Requests is the number of inferences that are due in the measured part.
func (p Plan) Requests() int {
	n := 0
	for _, a := range p.Actions {
		if a.Kind == Infer && a.At >= p.Load.Warmup {
			n++
		}
	}
	return n
}

// CallMinutes is the sum over calls of the measured time in which they were meant to be up, given that the run ended at
// end, counted from its start.
func (p Plan) CallMinutes(end time.Duration) float64 {
	if p.Load.Headerless {
		return 0
	}
	var sum time.Duration
	for _, start := range p.Starts {
		sum += max(0, end-max(start, p.Load.Warmup))
	}
	return sum.Minutes()
}
