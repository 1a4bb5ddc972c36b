package claims

import (
	"fmt"
	"slices"

	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

const (
	// stormWindowMs is how long after an event a storm is looked for: a request each second or two finds out that its
	// session moved, so that most have by then.
	stormWindowMs = 5000
	// stormFactor is how much the rate of cold starts must rise to be a storm, and stormShare the share of the sessions that
	// must then start cold within the window: a doubling of next to nothing is none, and a fifth of all at once is what a fleet that has
	// just grown from three pods cannot hide.
	stormFactor = 2
	stormShare  = 0.20
)

// noStorm is claim 39.
func noStorm(e evidence) (Finding, bool) {
	var before, after window
	var sessions float64
	for _, r := range e.of(slices.Concat(ringBackends, maglevBackends)...).results {
		for i, event := range r.GetEvents() {
			if !scaled(3, 10)(event) {
				continue
			}
			from, settled := settledBefore(r.GetEvents()[:i])
			if !settled {
				continue
			}
			before.add(r.GetTimeline(), from, event.GetStartedMs())
			after.add(r.GetTimeline(), event.GetStartedMs(), event.GetStartedMs()+stormWindowMs)
			sessions += float64(event.GetObservedSessions())
		}
	}
	if before.ms == 0 || after.ms == 0 || sessions < minSessions {
		return Finding{}, false
	}
	share := after.cold / sessions
	f := Finding{
		Measured: fmt.Sprintf("cold starts %.1f/s before and %.1f/s in the %d s after (%s of the sessions); set-ups %.1f/s and %.1f/s",
			before.rate(before.cold), after.rate(after.cold), stormWindowMs/1000, percent(share),
			before.rate(before.setups), after.rate(after.setups)),
		Figures: map[string]float64{
			"cold_per_s_before": before.rate(before.cold), "cold_per_s_after": after.rate(after.cold),
			"setups_per_s_before": before.rate(before.setups), "setups_per_s_after": after.rate(after.setups),
			"cold_share_after": share,
		},
		Verdict: reportv1.Verdict_VERDICT_REPRODUCED,
	}
	if after.rate(after.cold) > stormFactor*before.rate(before.cold) && share > stormShare {
		f.Verdict = reportv1.Verdict_VERDICT_NOT_REPRODUCED
		f.Note = "each session that moves is one cold start, all within seconds"
	}
	return f, true
}

// settledBefore is from when the fleet had settled after the last of the events before, 0 without any: what an earlier event did
// is not the rate that this one's is to be compared with. It is false where the fleet never settled in between.
func settledBefore(earlier []*reportv1.Event) (fromMs float64, ok bool) {
	if len(earlier) == 0 {
		return 0, true
	}
	last := earlier[len(earlier)-1]
	return last.GetSettledFromMs(), last.GetSettledToMs() > 0
}

// window sums the points of timelines over a stretch of time.
type window struct{ ms, cold, setups float64 }

func (w *window) add(t *reportv1.Timeline, from, to float64) {
	for _, p := range t.GetPoints() {
		// A bucket that the event falls into counts with neither side.
		if p.GetAtMs() < from || p.GetAtMs()+t.GetBucketMs() > to {
			continue
		}
		w.ms += t.GetBucketMs()
		w.cold += float64(p.GetCold())
		w.setups += float64(p.GetSetups())
	}
}

func (w *window) rate(n float64) float64 { return n * 1000 / w.ms }
