package tally

import (
	"time"

	"github.com/smaran-v2/smaran/loadtest/internal/figures"
)

// Classes lists every class that is counted, so that what never happened is 0 and not left out.
func Classes() []Class {
	return []Class{
		Misroute, SignalReconnect, MediaInterruption, Renegotiation, Migration, DroppedNoMedia, DroppedStateLost, SetupFailure,
		StateLost, Unspoken, Forward, GapOver60ms, GapOver1s,
	}
}

// onCalls says that a class can only be counted where calls are placed.
func onCalls(c Class) bool { return c != StateLost && c != Forward }

// Counts counts what happened in [from, to). Requests count by their intended time, everything else by when it was seen.
// Without calls that came up, the classes that only a call can have are left out: nothing was measured, which is not 0.
func Counts(r Records, from, to time.Duration, calls bool) map[string]uint64 {
	out := map[string]uint64{}
	counted := map[Class]bool{}
	for _, c := range Classes() {
		if calls || !onCalls(c) {
			out[string(c)], counted[c] = 0, true
		}
	}
	for _, o := range r.Occurrences {
		if counted[o.Class] && o.At >= from && o.At < to {
			out[string(o.Class)]++
		}
	}
	for name, n := range requestCounts(r.Inferences, from, to) {
		out[name] = n
	}
	if calls {
		out[figures.MisroutedRequests] = misrouted(r.Inferences, from, to)
		out[figures.DroppedCalls] = dropped(r, from, to)
		out[figures.CallsDownAtEnd] = downAtEnd(r, from, to)
	}
	return out
}

func misrouted(inferences []Inference, from, to time.Duration) uint64 {
	var n uint64
	for _, i := range inferences {
		if i.Misrouted && i.Intended >= from && i.Intended < to {
			n++
		}
	}
	return n
}

// SetupFailures counts the failed attempts to place a call from the start of the run, warm-up included.
func SetupFailures(r Records, to time.Duration) uint64 {
	var n uint64
	for _, o := range r.Occurrences {
		if o.Class == SetupFailure && o.At < to {
			n++
		}
	}
	return n
}

func requestCounts(inferences []Inference, from, to time.Duration) map[string]uint64 {
	out := map[string]uint64{figures.ColdStarts: 0, FirstLoads: 0, figures.RequestsFailed: 0}
	for _, i := range inferences {
		switch {
		case i.Intended < from || i.Intended >= to:
		case i.State == Failed:
			out[figures.RequestsFailed]++
		case i.State == Cold && i.First:
			out[FirstLoads]++
		case i.State == Cold:
			out[figures.ColdStarts]++
		}
	}
	return out
}

// Requests is the number of inferences intended in [from, to) that were sent.
func Requests(inferences []Inference, from, to time.Duration) uint64 {
	var n uint64
	for _, i := range inferences {
		if i.Intended >= from && i.Intended < to {
			n++
		}
	}
	return n
}

// Errors counts failed requests by code: inferences intended in [from, to), and beside them everything else that failed in
// the whole run, under "signalling: CODE".
func Errors(r Records, from, to time.Duration) map[string]uint64 {
	out := map[string]uint64{}
	for _, i := range r.Inferences {
		if i.State == Failed && i.Intended >= from && i.Intended < to {
			out[i.Error]++
		}
	}
	for code, n := range r.SideErrors {
		out["signalling: "+code] += n
	}
	return out
}
