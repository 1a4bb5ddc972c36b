package plan

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/smaran-v2/smaran/services/session"
)

// Endless is a load without an end, whose callers come and go and change their pace while it runs. The same seed and take give the same
// sessions, and the same times from when each caller comes.
type Endless struct {
	// Seed of this take: what else a caller draws comes from it too.
	Seed uint64
}

// NewEndless is one take of a seed; the first, 0, has the sessions of a plan with that seed, and each other one has others.
func NewEndless(seed uint64, take uint32) Endless {
	if take > 0 {
		seed = rand.NewPCG(seed, uint64(take)).Uint64()
	}
	return Endless{Seed: seed}
}

// Sessions are those of the first n callers; more callers leave the first ones as they are.
func (e Endless) Sessions(n int) []session.ID { return Sessions(e.Seed, n) }

// The longest time between two requests of one caller of an endless load.
const longestPeriod = time.Hour

// Period is the time between two requests of one caller where so many make a rate of requests a second together. It fails with ErrLoad
// for one that no caller keeps.
func Period(calls int, rate float64) (time.Duration, error) {
	l := Load{Calls: calls, Rate: rate}
	switch {
	case calls < 1 || !(rate > 0) || rate > maxRate*float64(calls):
		return 0, fmt.Errorf("%w: a rate of %v requests a second over %d calls, want more than 0 and %d a call at most", ErrLoad, rate, calls, maxRate)
	case rate*longestPeriod.Seconds() < float64(calls):
		return 0, fmt.Errorf("%w: a rate of %v requests a second over %d calls, want one a call every %v at least", ErrLoad, rate, calls, longestPeriod)
	}
	return l.period(), nil
}

// apart is the time between two calls that are placed one after another, unless they are many.
const apart = 50 * time.Millisecond

// Spacing is the time between two of n calls that are wanted at once.
func Spacing(n int) time.Duration { return min(apart, longestRamp/time.Duration(max(1, n))) }

// Agenda is what one caller of an endless load does, and when. It does not place the call.
type Agenda struct {
	call int
	// habits begin with Infer.
	habits [3]habit
}

// habit is one thing that a caller does, and the next time that it does so.
type habit struct {
	*Schedule
	kind Kind
	due  time.Duration
}

func (h *habit) renew() {
	h.due = forever
	if at, ok := h.Next(forever); ok {
		h.due = at
	}
}

// Agenda of a caller who comes at from, and asks once a period. It asks when the one caller of a headerless plan would, whose seed is the
// load's and the caller's number.
func (e Endless) Agenda(call int, from, period time.Duration) *Agenda {
	own := func(kind Kind, from, period time.Duration) habit {
		random := rand.New(rand.NewPCG(e.Seed+uint64(call), planStream+uint64(kind-Infer)))
		h := habit{Schedule: NewSchedule(random, from, period), kind: kind}
		h.renew()
		return h
	}
	return &Agenda{call: call, habits: [...]habit{
		own(Infer, from, period), own(Trickle, from+firstTrickle, signalEvery), own(Control, from+firstControl, signalEvery),
	}}
}

func (a *Agenda) first() *habit {
	first := &a.habits[0]
	for i := range a.habits {
		if h := &a.habits[i]; h.due < first.due {
			first = h
		}
	}
	return first
}

// Due is when the next action is.
func (a *Agenda) Due() time.Duration { return a.first().due }

// Next takes the next action off.
func (a *Agenda) Next() Action {
	h := a.first()
	out := Action{At: h.due, Call: a.call, Kind: h.kind}
	h.renew()
	return out
}

// Repace has what the caller asks from now on come once a new period: a request that was half a period away still is.
func (a *Agenda) Repace(now, period time.Duration) {
	asks := &a.habits[0]
	asks.due = asks.repace(asks.due, now, period)
}
