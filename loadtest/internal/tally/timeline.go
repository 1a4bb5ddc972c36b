package tally

import (
	"slices"
	"time"

	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// bucketWidths are the widths a timeline can have; the first that needs at most maxPoints is taken.
var bucketWidths = [...]time.Duration{
	250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second,
	30 * time.Second, time.Minute, 5 * time.Minute,
}

const maxPoints = 240

// Timeline cuts [from, to) into buckets.
func Timeline(r Records, from, to time.Duration) *reportv1.Timeline {
	width := bucketWidths[len(bucketWidths)-1]
	for _, w := range bucketWidths {
		if to-from <= maxPoints*w {
			width = w
			break
		}
	}
	t := &timeline{from: from, width: width}
	for at := from; at < to; at += width {
		t.points = append(t.points, &reportv1.TimelinePoint{AtMs: Millis(at - from)})
	}
	t.inferences(r.Inferences)
	t.occurrences(r.Occurrences)
	for _, g := range r.Gaps {
		if p := t.at(g.At); p != nil {
			p.WorstGapMs = max(p.WorstGapMs, Millis(g.Duration))
		}
	}
	for _, s := range r.Setups {
		if p := t.at(s.At); p != nil {
			p.Setups++
		}
	}
	for _, at := range drops(r) {
		if p := t.at(at); p != nil {
			p.Dropped++
		}
	}
	t.callsUp(r)
	return &reportv1.Timeline{BucketMs: Millis(width), Points: t.points}
}

type timeline struct {
	from, width time.Duration
	points      []*reportv1.TimelinePoint
}

// at is the bucket of a time, nil outside.
func (t *timeline) at(at time.Duration) *reportv1.TimelinePoint {
	if at < t.from {
		return nil
	}
	if k := int((at - t.from) / t.width); k < len(t.points) {
		return t.points[k]
	}
	return nil
}

func (t *timeline) inferences(all []Inference) {
	latencies := map[*reportv1.TimelinePoint][]time.Duration{}
	for _, i := range all {
		p := t.at(i.Intended)
		if p == nil {
			continue
		}
		p.Requests++
		switch i.State {
		case Failed:
			p.Failed++
			continue
		case Cold:
			p.Cold++
		}
		latencies[p] = append(latencies[p], i.Latency())
	}
	for p, l := range latencies {
		slices.Sort(l)
		p.InferenceP50Ms, p.InferenceP99Ms = Millis(rank(l, 0.5)), Millis(rank(l, 0.99))
	}
}

// rank is the nearest-rank quantile of sorted values.
func rank(sorted []time.Duration, q float64) time.Duration {
	k := int(q*float64(len(sorted)) + 0.999999)
	return sorted[min(max(k, 1), len(sorted))-1]
}

func (t *timeline) occurrences(all []Occurrence) {
	for _, o := range all {
		p := t.at(o.At)
		if p == nil {
			continue
		}
		switch o.Class {
		case Misroute:
			p.Misroutes++
		case MediaInterruption:
			p.Interruptions++
		case Renegotiation:
			p.Renegotiations++
		case StateLost:
			p.StateLost++
		}
	}
}

// callsUp counts, at the end of each bucket, the calls that are placed and not lost.
func (t *timeline) callsUp(r Records) {
	all, up, n := changes(r), map[int]bool{}, 0
	for k, p := range t.points {
		end := t.from + time.Duration(k+1)*t.width
		for n < len(all) && all[n].at < end {
			up[all[n].call] = all[n].up
			n++
		}
		for _, isUp := range up {
			if isUp {
				p.CallsUp++
			}
		}
	}
}
