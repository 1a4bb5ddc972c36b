package claims

import (
	"fmt"
	"slices"

	"github.com/smaran-v2/smaran/loadtest/internal/figures"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// spreadShare is the share of misrouted requests from which a backend spreads a session: at random over three pods it is two
// thirds, with affinity none; half lies clear of both.
const spreadShare = 0.5

// roundRobinSpreads is claim 2. Its share is of inferences: misroutes also counts what a call's signalling ran into, which no
// request is the denominator of. A report without the count of misrouted requests is no evidence, and says so.
func roundRobinSpreads(e evidence) (Finding, bool) {
	e = e.of("roundrobin")
	if steady := e.under("steady"); !steady.empty() {
		e = steady // no event that could drop a call by itself
	}
	misroutes, ok := e.count(figures.MisroutedRequests)
	requests := e.requests()
	dropped, okDropped := e.count(figures.DroppedCalls)
	interrupted, okInterrupted := e.count(figures.MediaInterruptions)
	renegotiated, okRenegotiated := e.count(figures.Renegotiations)
	if _, counted := e.count(figures.Misroutes); counted && !ok {
		return Finding{
			Verdict: reportv1.Verdict_VERDICT_NOT_RUN,
			Note:    "these runs do not say how many of their misroutes were inferences: measure again",
		}, true
	}
	if !ok || !okDropped || !okInterrupted || !okRenegotiated || requests < minSessions {
		return Finding{}, false
	}
	share := float64(misroutes) / float64(requests)
	f := Finding{
		Measured: fmt.Sprintf("%s of %d requests reached another pod; in %.1f call-minutes %d calls dropped, %d times media was "+
			"interrupted, %d new connections were needed", percent(share), requests, e.callMinutes(), dropped, interrupted, renegotiated),
		Figures: map[string]float64{
			"misroute_share": share, "dropped_calls": float64(dropped), "media_interruptions": float64(interrupted),
			"renegotiations": float64(renegotiated), "call_minutes": e.callMinutes(),
		},
	}
	switch {
	case share < spreadShare:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_REPRODUCED
	case dropped > 0 || interrupted > 0:
		f.Verdict = reportv1.Verdict_VERDICT_REPRODUCED
	default:
		f.Verdict = reportv1.Verdict_VERDICT_DEPENDS
		f.Note = "on the client: one that redials at once hides it behind a new connection for every misroute"
	}
	return f, true
}

// redisDown is claim 5.
func redisDown(e evidence) (Finding, bool) {
	outage := func(event *reportv1.Event) bool { return event.GetName() == "redis=down" }
	plain := e.of("redis-plain")
	misroutes, ok := plain.eventCount(outage, figures.Misroutes)
	dropped, okDropped := plain.eventCount(outage, figures.DroppedCalls)
	interrupted, okInterrupted := plain.eventCount(outage, figures.MediaInterruptions)
	if !ok || !okDropped || !okInterrupted {
		return Finding{}, false
	}
	f := Finding{
		Measured: fmt.Sprintf("redis-plain: %d misroutes, %d dropped calls, %d media interruptions in %d outages",
			misroutes, dropped, interrupted, len(plain.events(outage))),
		Figures: map[string]float64{
			"plain_misroutes": float64(misroutes), "plain_dropped_calls": float64(dropped),
			"plain_media_interruptions": float64(interrupted), "outages": float64(len(plain.events(outage))),
		},
	}
	degrading := e.of("redis")
	if n, ok := degrading.eventCount(outage, figures.Misroutes); ok {
		f.Measured += fmt.Sprintf("; redis, which degrades to hashing: %d misroutes in %d", n, len(degrading.events(outage)))
		f.Figures["degrading_misroutes"] = float64(n)
	}
	switch {
	case misroutes == 0:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_REPRODUCED
	case dropped > 0 || interrupted > 0:
		f.Verdict = reportv1.Verdict_VERDICT_REPRODUCED
	default:
		f.Verdict = reportv1.Verdict_VERDICT_DEPENDS
		f.Note = "on the client: requests did go to other pods, and calls lived on by dialling anew"
	}
	return f, true
}

// callsStay is claim 13.
func callsStay(e evidence) (Finding, bool) {
	e = e.of(slices.Concat(ringBackends, maglevBackends)...)
	out := scaled(3, 10)
	moved, ok := e.moved(out)
	interrupted, okInterrupted := e.eventCount(out, figures.MediaInterruptions)
	dropped, okDropped := e.eventCount(out, figures.DroppedCalls)
	misroutes, okMisroutes := e.eventCount(out, figures.Misroutes)
	if !ok || !okInterrupted || !okDropped || !okMisroutes || moved.Observed < minSessions {
		return Finding{}, false
	}
	f := Finding{
		Measured: fmt.Sprintf("%d of %d calls saw a request go to another pod (%d misroutes); media: %d interrupted, %d dropped",
			moved.Moved, moved.Observed, misroutes, interrupted, dropped),
		Figures: map[string]float64{
			"moved_sessions": float64(moved.Moved), "observed": float64(moved.Observed), "misroutes": float64(misroutes),
			"media_interruptions": float64(interrupted), "dropped_calls": float64(dropped),
		},
	}
	switch {
	case moved.Moved == 0 && misroutes == 0:
		f.Verdict = reportv1.Verdict_VERDICT_REPRODUCED
	case interrupted == 0 && dropped == 0:
		f.Verdict = reportv1.Verdict_VERDICT_DEPENDS
		f.Note = "on what stays: media does, as it goes straight to the pod; the next request does not, and ends that"
	default:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_REPRODUCED
		f.Note = "media stays until the next request, which the ring sends to another pod"
	}
	return f, true
}

// claimedRatio is what claim 14 says that the hash is better by: 15 an hour against 1 a month of 730 hours.
const claimedRatio = 15 * 730

// ruleOfThree bounds a rate that was never seen: with 95% confidence it is below 3/n after n trials.
const ruleOfThree = 3

// disconnectRates is claim 14. A disconnect is a call that needed a new connection (renegotiations), which both sides of the
// claim share; it counts by event and call, since by the hour it is whatever one assumes about events.
func disconnectRates(e evidence) (Finding, bool) {
	redis, hash := e.of(redisBackends...), e.of(ringBackends...)
	redis, hash = redis.where(sharesScenario(hash)).once(), hash.where(sharesScenario(redis)).once()
	redisRate, redisTrials, ok := redis.disconnectsPerEvent()
	hashRate, hashTrials, okHash := hash.disconnectsPerEvent()
	if !ok || !okHash {
		return Finding{}, false
	}
	f := Finding{
		Measured: fmt.Sprintf("by event and 100 calls: %.1f new connections with Redis, %.1f with the hash (%.0f and %.0f calls×events)",
			100*redisRate, 100*hashRate, redisTrials, hashTrials),
		Figures: map[string]float64{
			"redis_per_event_call": redisRate, "hash_per_event_call": hashRate,
			"redis_calls_times_events": redisTrials, "hash_calls_times_events": hashTrials, "claimed_ratio": claimedRatio,
		},
	}
	atMost := max(hashRate, ruleOfThree/hashTrials)
	switch {
	case hashRate >= redisRate:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_REPRODUCED
		f.Note = "on the same events the hash disconnects no fewer calls"
	case redisRate/atMost >= claimedRatio:
		f.Verdict = reportv1.Verdict_VERDICT_REPRODUCED
	default:
		f.Verdict = reportv1.Verdict_VERDICT_DEPENDS
		f.Note = fmt.Sprintf("on how often the fleet changes; the claim is a ratio of %d, measured is at least %.1f",
			claimedRatio, redisRate/atMost)
	}
	return f, true
}

func sharesScenario(other evidence) func(*reportv1.Result) bool {
	return func(r *reportv1.Result) bool { return !other.under(r.GetScenario()).empty() }
}

// disconnectsPerEvent is renegotiations by event and call, and the number of calls times events they are out of.
func (e evidence) disconnectsPerEvent() (rate, trials float64, ok bool) {
	var sum uint64
	for _, r := range e.results {
		for _, event := range r.GetEvents() {
			n, counted := event.GetCounts()[figures.Renegotiations]
			if !counted {
				return 0, 0, false
			}
			sum += n
			trials += float64(r.GetLoad().GetCalls())
		}
	}
	if trials == 0 {
		return 0, 0, false
	}
	return float64(sum) / trials, trials, true
}
