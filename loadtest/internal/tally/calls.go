package tally

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// placed is one call from its set-up to its loss.
type placed struct {
	from time.Duration
	// to is the loss; 0 while the call is up.
	to time.Duration
	// next is the set-up of the caller's next call, 0 without one. Until then, what was lost is this call's.
	next time.Duration
}

// change is a call going up or down.
type change struct {
	at   time.Duration
	call int
	up   bool
}

// changes are all of them in the order of time; a loss comes before a set-up at the same time.
func changes(r Records) []change {
	out := make([]change, 0, len(r.Setups)+len(r.Losses))
	for _, l := range r.Losses {
		out = append(out, change{l.At, l.Call, false})
	}
	for _, s := range r.Setups {
		out = append(out, change{s.At, s.Call, true})
	}
	slices.SortStableFunc(out, func(a, b change) int { return cmp.Compare(a.at, b.at) })
	return out
}

// calls are each caller's placed calls, in their order.
func calls(r Records) map[int][]placed {
	out := map[int][]placed{}
	for _, c := range changes(r) {
		of := out[c.call]
		switch {
		case c.up:
			if n := len(of); n > 0 {
				of[n-1].next = c.at
			}
			out[c.call] = append(of, placed{from: c.at})
		case len(of) > 0 && of[len(of)-1].to == 0:
			of[len(of)-1].to = c.at
		}
	}
	return out
}

// Placed is the number of calls that came up and were, for some of [from, to), up: what DroppedCalls is out of.
func Placed(r Records, from, to time.Duration) uint64 {
	var n uint64
	for _, of := range calls(r) {
		for _, p := range of {
			if p.from < to && (p.to == 0 || p.to >= from) {
				n++
			}
		}
	}
	return n
}

// drops are the times at which placed calls were first seen to have lost their media for too long or their conversation; each call
// has one at most.
func drops(r Records) []time.Duration {
	type one struct{ call, number int }
	first := map[one]time.Duration{}
	all := calls(r)
	for _, o := range r.Occurrences {
		if o.Class != DroppedNoMedia && o.Class != DroppedStateLost {
			continue
		}
		// The loss may be seen after the call went down, until the next one is up.
		number := slices.IndexFunc(all[o.Call], func(p placed) bool { return p.next == 0 || o.At < p.next })
		which := one{o.Call, number}
		if at, ok := first[which]; !ok || o.At < at {
			first[which] = o.At
		}
	}
	return slices.Collect(maps.Values(first))
}

// dropped is the number of drops in [from, to).
func dropped(r Records, from, to time.Duration) uint64 {
	var n uint64
	for _, at := range drops(r) {
		if at >= from && at < to {
			n++
		}
	}
	return n
}

// downAtEnd counts the calls that were up at some time of [from, to), or lost in it, and are down when it ends. A loss in the last
// ten seconds shows here, where it can't yet be a DroppedNoMedia.
func downAtEnd(r Records, from, to time.Duration) uint64 {
	var n uint64
	for _, of := range calls(r) {
		of = slices.DeleteFunc(of, func(p placed) bool { return p.from >= to })
		if k := len(of); k > 0 {
			if last := of[k-1]; last.to != 0 && last.to >= from && last.to < to {
				n++
			}
		}
	}
	return n
}
