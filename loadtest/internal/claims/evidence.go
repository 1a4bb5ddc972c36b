package claims

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/smaran-v2/smaran/loadtest/internal/report/figures"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// minSessions is how many sessions an event must have been observed on: with fewer a share is off by more than the 10 points
// that some claims are apart (two standard errors of a share of one half at 100 are 10 points; at 30 they are 18, which still
// tells 30% from 78%).
const minSessions = 30

// Backends that a claim speaks of.
var (
	ringBackends     = []string{"istio-hash", "istio-hash:ring"}
	maglevBackends   = []string{"istio-hash:maglev"}
	redisBackends    = []string{"redis-plain", "redis"}
	statefulBackends = []string{"stateful-header", "stateful-cookie"}
)

// evidence is the valid results of a report, and what it says of itself.
type evidence struct {
	results []*reportv1.Result
}

func newEvidence(r *reportv1.Report) evidence {
	var e evidence
	for _, result := range r.GetResults() {
		if result.GetValid() {
			e.results = append(e.results, result)
		}
	}
	return e
}

// of keeps the results of some backends.
func (e evidence) of(backends ...string) evidence {
	return e.where(func(r *reportv1.Result) bool { return slices.Contains(backends, r.GetBackend()) })
}

// under keeps the results of a scenario.
func (e evidence) under(scenario string) evidence {
	return e.where(func(r *reportv1.Result) bool { return r.GetScenario() == scenario })
}

func (e evidence) where(keep func(*reportv1.Result) bool) evidence {
	var out evidence
	for _, r := range e.results {
		if keep(r) {
			out.results = append(out.results, r)
		}
	}
	return out
}

func (e evidence) empty() bool { return len(e.results) == 0 }

// count sums a count. It is false unless every result counted it.
func (e evidence) count(name string) (uint64, bool) {
	g := figures.Group{Valid: e.results}
	n, ok := g.Count(name)
	return n, ok && !e.empty()
}

func (e evidence) requests() (sum uint64) {
	for _, r := range e.results {
		sum += r.GetDenominators().GetRequests()
	}
	return sum
}

func (e evidence) callMinutes() (sum float64) {
	for _, r := range e.results {
		sum += r.GetDenominators().GetCallMinutes()
	}
	return sum
}

func (e evidence) moved(match func(*reportv1.Event) bool) (figures.Moved, bool) {
	g := figures.Group{Valid: e.results}
	if e.empty() {
		return figures.Moved{}, false
	}
	return g.Moved(match)
}

// eventCount sums a count over the events that match. It is false where there are none or one did not count it.
func (e evidence) eventCount(match func(*reportv1.Event) bool, name string) (sum uint64, ok bool) {
	for _, event := range e.events(match) {
		n, counted := event.GetCounts()[name]
		if !counted {
			return 0, false
		}
		sum, ok = sum+n, true
	}
	return sum, ok
}

func (e evidence) events(match func(*reportv1.Event) bool) (out []*reportv1.Event) {
	for _, r := range e.results {
		for _, event := range r.GetEvents() {
			if match(event) {
				out = append(out, event)
			}
		}
	}
	return out
}

// scaled matches an event that scaled the fleet from one number of pods to another: by its name, and, since the name does
// not hold the number before, by the share that least had to move.
func scaled(from, to uint) func(*reportv1.Event) bool {
	name := fmt.Sprintf("scale=%d", to)
	least := 1 - float64(min(from, to))/float64(max(from, to))
	return func(e *reportv1.Event) bool {
		return e.GetName() == name && e.MinimalShare != nil && math.Abs(e.GetMinimalShare()-least) < 0.005
	}
}

// named matches events by the verb of their name: "rollout" matches rollout and rollout=jarvis.
func named(verb string) func(*reportv1.Event) bool {
	return func(e *reportv1.Event) bool {
		first, _, _ := strings.Cut(e.GetName(), "=")
		return first == verb
	}
}

func percent(share float64) string {
	return fmt.Sprintf("%.1f%%", 100*share)
}
