package figures

import (
	"cmp"
	"math"
	"slices"

	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// Group is the repeats of one backend under one scenario in one report.
type Group struct {
	// Label names the report where several are overlaid, else it is empty.
	Label    string
	Scenario string
	Backend  string
	// All repeats, and the valid ones.
	All, Valid []*reportv1.Result
	// common are those of the valid repeats that the other groups of the scenario have too, where these are fewer; see Even.
	common []*reportv1.Result
}

// Even restricts the groups of one scenario that have valid repeats to those repeats that are valid in all of them, since sums over
// different numbers of repeats do not compare. Where no repeat is valid in all of them it leaves them as they are. It returns the
// repeats that are left where it restricted any group, in their order.
func Even(groups []*Group) []uint32 {
	var shared []uint32
	first, uneven := true, false
	for _, g := range groups {
		if !g.Ranked() {
			continue
		}
		var own []uint32
		for _, r := range g.Valid {
			own = append(own, r.GetRepeat())
		}
		if first {
			shared, first = own, false
			continue
		}
		uneven = uneven || len(own) != len(shared) || !slices.Equal(own, shared)
		shared = slices.DeleteFunc(shared, func(n uint32) bool { return !slices.Contains(own, n) })
	}
	if !uneven || len(shared) == 0 {
		return nil
	}
	restricted := false
	for _, g := range groups {
		g.common = nil
		for _, r := range g.Valid {
			if slices.Contains(shared, r.GetRepeat()) {
				g.common = append(g.common, r)
			}
		}
		restricted = restricted || len(g.common) < len(g.Valid)
	}
	if !restricted {
		return nil
	}
	return shared
}

// Groups gathers the results of a report by scenario, in the order in which they appear, and by backend within it.
func Groups(label string, results []*reportv1.Result) []*Group {
	type key struct{ scenario, backend string }
	var (
		out   []*Group
		byKey = map[key]*Group{}
		order = map[string]int{}
	)
	for _, r := range results {
		k := key{r.GetScenario(), r.GetBackend()}
		if _, ok := order[k.scenario]; !ok {
			order[k.scenario] = len(order)
		}
		g, ok := byKey[k]
		if !ok {
			g = &Group{Label: label, Scenario: k.scenario, Backend: k.backend}
			byKey[k] = g
			out = append(out, g)
		}
		g.All = append(g.All, r)
		if r.GetValid() {
			g.Valid = append(g.Valid, r)
		}
	}
	slices.SortStableFunc(out, func(a, b *Group) int {
		return cmp.Or(cmp.Compare(order[a.Scenario], order[b.Scenario]), CompareBackends(a.Backend, b.Backend))
	})
	return out
}

// Once keeps the first result of each seed under a backend and a scenario. Repeats of a seed have the same sessions, which the
// same hash sends the same way: what became of them is one sample, and several would make any interval too narrow.
func Once(results []*reportv1.Result) []*reportv1.Result {
	type draw struct {
		seed              uint64
		backend, scenario string
	}
	seen := map[draw]bool{}
	var out []*reportv1.Result
	for _, r := range results {
		d := draw{r.GetSeed(), r.GetBackend(), r.GetScenario()}
		if !seen[d] {
			seen[d] = true
			out = append(out, r)
		}
	}
	return out
}

// Ranked is whether the group's figures may be compared with another's: at least one repeat is valid.
func (g *Group) Ranked() bool { return len(g.Valid) > 0 }

// Used is what the figures come from: the valid repeats, those in common with the other groups after Even, or all of them where
// none is valid, so that a failed run can still be looked into.
func (g *Group) Used() []*reportv1.Result {
	switch {
	case len(g.common) > 0:
		return g.common
	case g.Ranked():
		return g.Valid
	default:
		return g.All
	}
}

// Count sums a count over the repeats. It is false unless every repeat counted it.
func (g *Group) Count(name string) (uint64, bool) {
	var sum uint64
	for _, r := range g.Used() {
		n, ok := Count(r, name)
		if !ok {
			return 0, false
		}
		sum += n
	}
	return sum, true
}

// CallMinutes is the denominator of the headline rates, over all repeats used.
func (g *Group) CallMinutes() float64 {
	var sum float64
	for _, r := range g.Used() {
		sum += r.GetDenominators().GetCallMinutes()
	}
	return sum
}

// Denominators are summed over all repeats used.
func (g *Group) Denominators() *reportv1.Denominators {
	sum := &reportv1.Denominators{}
	for _, r := range g.Used() {
		d := r.GetDenominators()
		sum.CallMinutes += d.GetCallMinutes()
		sum.Events += d.GetEvents()
		sum.Requests += d.GetRequests()
		sum.CallsPlaced += d.GetCallsPlaced()
	}
	return sum
}

// PerThousandCallMinutes is the rate of a count, and false where it was not counted or no call was meant to be up.
func (g *Group) PerThousandCallMinutes(name string) (float64, bool) {
	n, ok := g.Count(name)
	minutes := g.CallMinutes()
	if !ok || minutes <= 0 {
		return 0, false
	}
	return float64(n) * 1000 / minutes, true
}

// PerEvent is a count divided by the number of events, and false where either is missing.
func (g *Group) PerEvent(name string) (float64, bool) {
	n, ok := g.Count(name)
	events := g.Denominators().GetEvents()
	if !ok || events == 0 {
		return 0, false
	}
	return float64(n) / float64(events), true
}

// Percentile is the range over repeats of each one's own percentile.
func (g *Group) Percentile(histogram string, percentile float64) (Range, bool) {
	return g.Over(func(r *reportv1.Result) (float64, bool) { return Percentile(r, histogram, percentile) })
}

// Extreme is whether a percentile is just the largest sample in some repeat: of fewer than 100 samples p99 is, of fewer than
// 1,000 p99.9.
func (g *Group) Extreme(histogram string, percentile float64) bool {
	for _, r := range g.Used() {
		_, ok := Percentile(r, histogram, percentile)
		if ok && float64(Histogram(r, histogram).GetCount()) < math.Round(100/(100-percentile)) {
			return true
		}
	}
	return false
}

// Max is the range over repeats of the largest sample.
func (g *Group) Max(histogram string) (Range, bool) {
	return g.Over(func(r *reportv1.Result) (float64, bool) {
		h := Histogram(r, histogram)
		return h.GetMax(), h != nil
	})
}

// Samples is the number of samples of a histogram over all repeats.
func (g *Group) Samples(histogram string) uint64 {
	var sum uint64
	for _, r := range g.Used() {
		sum += Histogram(r, histogram).GetCount()
	}
	return sum
}

// Over is the range over repeats of a figure that each of them has by itself.
func (g *Group) Over(figure func(*reportv1.Result) (float64, bool)) (Range, bool) {
	var values []float64
	for _, r := range g.Used() {
		if v, ok := figure(r); ok {
			values = append(values, v)
		}
	}
	return Over(values)
}

// Moved is what events did to the sessions that were seen before and after them.
type Moved struct {
	Observed, Moved uint64
	// Detoured were served by another pod at any time until the next event, those that came back included.
	Detoured uint64
	// ByMoves counts the observed sessions by how often they moved; see the report's Event.
	ByMoves []uint64
	// Predicted is the number that the algorithm says, over the events for which it can be computed, and
	// PredictedOf the number of sessions moved in just those.
	Predicted, PredictedOf uint64
	// HasPrediction is whether it could be computed for every event that was observed.
	HasPrediction bool
	// Mispredicted counts sessions that a settled fleet served elsewhere than predicted.
	Mispredicted    uint64
	HasMispredicted bool
	// MinimalShare is what an algorithm of minimal disruption would move, 0 to 1.
	MinimalShare    float64
	HasMinimalShare bool
}

// Share is the share of the observed sessions that moved, 0 to 1, and false where none was observed.
func (m Moved) Share() (float64, bool) {
	if m.Observed == 0 {
		return 0, false
	}
	return float64(m.Moved) / float64(m.Observed), true
}

// PredictedShare is the share of the observed sessions that the algorithm says move, and false where it can't be computed.
func (m Moved) PredictedShare() (float64, bool) {
	if m.Observed == 0 || !m.HasPrediction {
		return 0, false
	}
	return float64(m.Predicted) / float64(m.Observed), true
}

// Moved sums the events of all repeats that match, and is false where no session was observed across any.
func (g *Group) Moved(match func(*reportv1.Event) bool) (Moved, bool) {
	m := Moved{HasPrediction: true, HasMispredicted: true, HasMinimalShare: true}
	var minimal float64
	for _, r := range g.Used() {
		for _, e := range r.GetEvents() {
			if e.GetObservedSessions() == 0 || !match(e) {
				continue
			}
			m.Observed += e.GetObservedSessions()
			m.Moved += e.GetMovedSessions()
			m.Detoured += e.GetDetouredSessions()
			m.ByMoves = append(m.ByMoves, make([]uint64, max(0, len(e.GetSessionsByMoves())-len(m.ByMoves)))...)
			for times, sessions := range e.GetSessionsByMoves() {
				m.ByMoves[times] += sessions
			}
			if e.PredictedMoved == nil {
				m.HasPrediction = false
			} else {
				m.Predicted += e.GetPredictedMoved()
				m.PredictedOf += e.GetMovedSessions()
			}
			if e.Mispredicted == nil {
				m.HasMispredicted = false
			}
			m.Mispredicted += e.GetMispredicted()
			if e.MinimalShare == nil {
				m.HasMinimalShare = false
			}
			minimal += e.GetMinimalShare() * float64(e.GetObservedSessions())
		}
	}
	if m.Observed == 0 {
		return Moved{}, false
	}
	m.MinimalShare = minimal / float64(m.Observed)
	return m, true
}

// EveryEvent matches all events.
func EveryEvent(*reportv1.Event) bool { return true }

// Events are the names of the group's events in the order of their time, each once.
func (g *Group) Events() []string {
	var names []string
	for _, r := range g.Used() {
		for _, e := range r.GetEvents() {
			if !slices.Contains(names, e.GetName()) {
				names = append(names, e.GetName())
			}
		}
	}
	return names
}

// EventCount sums a count over the events of that name in all repeats, with the number of such events.
func (g *Group) EventCount(event, name string) (sum uint64, events int, ok bool) {
	for _, r := range g.Used() {
		for _, e := range r.GetEvents() {
			if e.GetName() != event {
				continue
			}
			n, counted := e.GetCounts()[name]
			if !counted {
				return 0, 0, false
			}
			sum += n
			events++
		}
	}
	return sum, events, events > 0
}

// EventsNamed are the events of that name over all repeats used.
func (g *Group) EventsNamed(name string) []*reportv1.Event {
	var out []*reportv1.Event
	for _, r := range g.Used() {
		for _, e := range r.GetEvents() {
			if e.GetName() == name {
				out = append(out, e)
			}
		}
	}
	return out
}
