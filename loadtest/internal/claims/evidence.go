package claims

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/smaran-v2/smaran/loadtest/internal/figures"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// minSessions is how many sessions, or requests, a share must be out of to be shown as one: with 20 its standard error is at most 11
// points. Where a verdict needs more than that, it goes by the interval instead (see Interval).
const minSessions = 20

// Backends that a claim speaks of.
var (
	ringBackends     = []string{"istio-hash", "istio-hash:ring"}
	maglevBackends   = []string{"istio-hash:maglev"}
	redisBackends    = []string{"redis-plain", "redis"}
	statefulBackends = []string{"stateful-header", "stateful-cookie"}
)

// evidence is some results of a report.
type evidence struct {
	results []*reportv1.Result
}

// newEvidence is the valid results, which decide, and all of them.
func newEvidence(r *reportv1.Report) (valid, all evidence) {
	all = evidence{results: r.GetResults()}
	return all.where((*reportv1.Result).GetValid), all
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

func (e evidence) sessions() (sum uint64) {
	for _, r := range e.results {
		sum += r.GetLoad().GetSessions()
	}
	return sum
}

func (e evidence) callMinutes() (sum float64) {
	for _, r := range e.results {
		sum += r.GetDenominators().GetCallMinutes()
	}
	return sum
}

// once leaves out the repeats of a seed; see figures.Once.
func (e evidence) once() evidence { return evidence{results: figures.Once(e.results)} }

// moved is what the events that match did to the sessions, each drawn session once.
func (e evidence) moved(match func(*reportv1.Event) bool) (figures.Moved, bool) {
	e = e.once()
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

// Interval is Wilson's for a share, at 95% confidence. Of nothing it is 0 to 1.
func Interval(part, of uint64) (low, high float64) {
	if of == 0 {
		return 0, 1
	}
	const z = 1.96
	n, p := float64(of), float64(part)/float64(of)
	middle := (p + z*z/(2*n)) / (1 + z*z/n)
	half := z * math.Sqrt(p*(1-p)/n+z*z/(4*n*n)) / (1 + z*z/n)
	return max(middle-half, 0), min(middle+half, 1) // rounding may lead past the ends
}

func percent(share float64) string {
	return fmt.Sprintf("%.1f%%", 100*share)
}
