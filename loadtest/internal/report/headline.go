package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/smaran-v2/smaran/loadtest/internal/claims"
	"github.com/smaran-v2/smaran/loadtest/internal/figures"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// headlineOf is the one sentence that the results come to, and a few that support it. Runs that are not valid have no say.
func headlineOf(groups []*figures.Group, rows []*reportv1.Claim) (sentence string, support []string) {
	ranked := slices.DeleteFunc(overScenarios(groups), func(g *figures.Group) bool { return !g.Ranked() })
	switch {
	case len(groups) == 0:
		sentence = claimsSentence(rows)
		return sentence, nil
	case len(ranked) == 0:
		sentence = "No run is valid, so nothing here may be compared."
	case len(ranked) == 1:
		sentence = single(ranked[0])
	default:
		sentence = contrast(ranked)
	}
	for _, s := range []string{movedSentence(groups), costSentence(ranked), claimsSentence(rows)} {
		if s != "" {
			support = append(support, s)
		}
	}
	return sentence, support
}

// overScenarios gathers a backend's results over all scenarios, where each of them has valid ones; the same counts over the same
// scenarios may be summed. A backend without a valid run in one scenario is not comparable over all.
func overScenarios(groups []*figures.Group) []*figures.Group {
	scenarios := len(scenariosOf(groups))
	type key struct{ label, backend string }
	byKey := map[key]*figures.Group{}
	valid := map[key]int{}
	var out []*figures.Group
	for _, g := range groups {
		k := key{g.Label, g.Backend}
		all, ok := byKey[k]
		if !ok {
			all = &figures.Group{Label: g.Label, Backend: g.Backend}
			byKey[k] = all
			out = append(out, all)
		}
		all.All = append(all.All, g.All...)
		if g.Ranked() {
			all.Valid = append(all.Valid, g.Used()...)
			valid[k]++
		}
	}
	for _, g := range out {
		if valid[key{g.Label, g.Backend}] < scenarios {
			g.Valid = nil
		}
	}
	slices.SortStableFunc(out, func(a, b *figures.Group) int { return figures.CompareBackends(a.Backend, b.Backend) })
	return out
}

// said are the classes that a headline may speak of, worst first, with their verb.
var said = [...]struct{ class, verb, noun string }{
	{figures.DroppedCalls, "dropped", "call"},
	{figures.StateLost, "lost session state", "time"},
	{figures.MediaInterruptions, "interrupted media", "time"},
	{figures.Renegotiations, "had to dial anew", "time"},
	{figures.Misroutes, "sent requests to the wrong pod", "time"},
}

// contrast sets the backend with the most trouble of the worst class in which they differ against the one with the least.
func contrast(ranked []*figures.Group) string {
	for _, s := range said {
		worst, best, ok := extremes(ranked, s.class)
		if !ok {
			continue
		}
		high, _ := worst.Count(s.class)
		low, _ := best.Count(s.class)
		return fmt.Sprintf("On the same calls and the same events, %s %s %s; %s %s.",
			nameOf(worst), s.verb, times(high, s.noun, worst), nameOf(best), least(low, s.noun, best))
	}
	return fmt.Sprintf("On the same calls and the same events, %s do not differ by more than chance.", plural(uint64(len(ranked)), "backend"))
}

// times is "12 of 60 calls" for calls and "12 times" for what can happen to a call more than once.
func times(n uint64, noun string, g *figures.Group) string {
	if noun == "call" {
		if placed := g.Denominators().GetCallsPlaced(); placed >= n && placed > 0 {
			return fmt.Sprintf("%s of %s", count(n), plural(placed, noun))
		}
	}
	return plural(n, noun)
}

func least(n uint64, noun string, g *figures.Group) string {
	switch {
	case n > 0:
		return times(n, noun, g)
	case noun == "call":
		return "none"
	default:
		return "never"
	}
}

// extremes are the groups with the highest and the lowest rate of a class, and false where they do not differ by more than chance. The first wins a tie,
// except that the last one, the most elaborate backend, is named as the best.
func extremes(ranked []*figures.Group, class string) (worst, best *figures.Group, ok bool) {
	var high, low float64
	for _, g := range ranked {
		v, counted := g.PerThousandCallMinutes(class)
		if !counted {
			continue
		}
		if worst == nil || v > high {
			worst, high = g, v
		}
		if best == nil || v <= low {
			best, low = g, v
		}
	}
	if worst == nil || high <= low {
		return nil, nil, false
	}
	a, _ := once(worst).Count(class)
	b, _ := once(best).Count(class)
	return worst, best, beyondChance(a, b)
}

// once is the group without the repeats of a seed, which are not independent of one another.
func once(g *figures.Group) *figures.Group {
	return &figures.Group{Label: g.Label, Backend: g.Backend, Scenario: g.Scenario, All: g.All, Valid: figures.Once(g.Used())}
}

// beyondChance is whether two counts differ by more than two standard errors of their difference, taking each as a
// number of independent accidents. A headline says no less than that.
func beyondChance(a, b uint64) bool {
	return math.Abs(float64(a)-float64(b)) > 2*math.Sqrt(float64(a)+float64(b))
}

func single(g *figures.Group) string {
	var parts []string
	for _, s := range said[:3] {
		if n, ok := g.Count(s.class); ok {
			parts = append(parts, s.verb+" "+times(n, s.noun, g))
		}
	}
	if len(parts) == 0 {
		return nameOf(g) + ": " + denominators([]*figures.Group{g}) + "."
	}
	return nameOf(g) + " " + strings.Join(parts, ", ") + "."
}

func nameOf(g *figures.Group) string {
	if g.Label != "" {
		return g.Backend + " (" + g.Label + ")"
	}
	return g.Backend
}

// movedSentence sets what the mesh's ring moved beside what was predicted of it, for the event that moved the largest share.
func movedSentence(groups []*figures.Group) string {
	var (
		of     figures.Moved
		name   string
		group  *figures.Group
		widest float64
	)
	for _, g := range groups {
		if !g.Ranked() || figures.Base(g.Backend) != "istio-hash" {
			continue
		}
		for _, event := range g.Events() {
			m, ok := g.Moved(func(e *reportv1.Event) bool { return e.GetName() == event })
			share, hasShare := m.Share()
			if ok && hasShare && m.HasPrediction && share > widest {
				of, name, group, widest = m, event, g, share
			}
		}
	}
	if group == nil {
		return ""
	}
	agreement := "exactly as predicted"
	if of.Moved != of.Predicted {
		agreement = "where " + count(of.Predicted) + " were predicted"
	}
	s := fmt.Sprintf("At %s, %s moved %s of %s sessions (%s), %s", name, nameOf(group), count(of.Moved), count(of.Observed), percent(widest), agreement)
	if of.HasMinimalShare {
		s += fmt.Sprintf("; the fewest possible are %s", percent(of.MinimalShare))
	}
	return s + "."
}

// costSentence is what a request at another pod costs.
func costSentence(ranked []*figures.Group) string {
	var warm, cold []float64
	for _, g := range ranked {
		if r, ok := g.Percentile(figures.InferenceWarm, 50); ok {
			warm = append(warm, r.Median)
		}
		if r, ok := g.Percentile(figures.InferenceCold, 50); ok {
			cold = append(cold, r.Median)
		}
	}
	w, okWarm := figures.Over(warm)
	c, okCold := figures.Over(cold)
	if !okWarm || !okCold {
		return ""
	}
	return fmt.Sprintf("A request at a pod without the session took %s ms, one at its own pod %s ms (median of the backends' p50).",
		millis(c.Median), millis(w.Median))
}

func claimsSentence(rows []*reportv1.Claim) string {
	n := map[reportv1.Verdict]int{}
	decided := 0
	for _, c := range rows {
		n[c.GetVerdict()]++
		if claims.Decided(c) {
			decided++
		}
	}
	if decided == 0 {
		return ""
	}
	return fmt.Sprintf("Of %d claims this report answers %d: %d reproduced, %d not reproduced, %d depend on something.",
		len(rows), decided, n[reportv1.Verdict_VERDICT_REPRODUCED], n[reportv1.Verdict_VERDICT_NOT_REPRODUCED],
		n[reportv1.Verdict_VERDICT_DEPENDS])
}
