package tally

import "time"

// Span is the time from one event to the next.
type Span struct{ From, To time.Duration }

// SplitGaps gives, for every call and span, the longest gap that ended in it: moved for the calls that were redialled or
// migrated in the span, unmoved for the others. A call without any packet in the span is in neither.
func SplitGaps(r Records, spans []Span) (moved, unmoved Histogram) {
	moved, unmoved = NewHistogram(), NewHistogram()
	for _, s := range spans {
		touched := map[int]bool{}
		for _, o := range r.Occurrences {
			if (o.Class == Renegotiation || o.Class == Migration) && o.At >= s.From && o.At < s.To {
				touched[o.Call] = true
			}
		}
		longest := map[int]time.Duration{}
		for _, g := range r.Gaps {
			if g.At >= s.From && g.At < s.To {
				longest[g.Call] = max(longest[g.Call], g.Duration)
			}
		}
		for call, d := range longest {
			if touched[call] {
				moved.Record(d)
			} else {
				unmoved.Record(d)
			}
		}
	}
	return moved, unmoved
}
