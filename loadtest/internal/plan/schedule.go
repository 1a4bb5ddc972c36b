package plan

import (
	"math"
	"math/rand/v2"
	"time"
)

// forever is past every time.
const forever = time.Duration(math.MaxInt64)

// Schedule is when one caller does one thing, again and again: once a period from a random phase on, moved by up to a quarter of the
// period either way. It has no end of its own.
type Schedule struct {
	random       *rand.Rand
	from, period time.Duration
	// slot is the next time before it is moved.
	slot time.Duration
}

// NewSchedule begins at from. It draws from random once now, and once a slot; the period is at least 2ns.
func NewSchedule(random *rand.Rand, from, period time.Duration) *Schedule {
	return &Schedule{random: random, from: from, period: period, slot: from + time.Duration(random.Int64N(int64(period)))}
}

// Next is the next time before until, or false where there is none; then nothing was drawn for what is due later.
func (s *Schedule) Next(until time.Duration) (time.Duration, bool) {
	for s.slot < until {
		at := s.slot + time.Duration(s.random.Int64N(int64(s.period)/2+1)) - s.period/4
		s.slot += s.period
		if at >= s.from && at < until {
			return at, true
		}
	}
	return 0, false
}

// repace has all that is due after now come by another period, due, which was taken off already, included: what was half a period away
// still is. It returns when due is.
func (s *Schedule) repace(due, now, period time.Duration) time.Duration {
	now = max(now, s.from)
	due, s.slot = rescale(due, now, s.period, period), rescale(s.slot, now, s.period, period)
	s.period = period
	return due
}

// rescale moves a time after now by as much as the period changes. One that is past stays.
func rescale(at, now, before, after time.Duration) time.Duration {
	if at <= now {
		return at
	}
	return now + time.Duration(float64(at-now)*(float64(after)/float64(before)))
}
