package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/smaran-v2/smaran/loadtest/internal/figures"
)

// extremeMark stands behind a percentile that is just the largest sample.
const extremeMark = "†"

// bracketMark stands in the head of a column that has a rate in brackets.
const bracketMark = "*"

// percentileText is a percentile's median over the repeats, marked where its samples are too few for it.
func percentileText(g *figures.Group, histogram string, percentile float64) string {
	r, ok := g.Percentile(histogram, percentile)
	text := millisOr(r, ok)
	if g.Extreme(histogram, percentile) {
		text += extremeMark
	}
	return text
}

// legend are the lines below the figures of a comparison, in every form of it: what they are out of, what their marks mean, and which
// runs are not compared.
func legend(groups []*figures.Group) []string {
	out := []string{bracketMark + " in brackets: per 1,000 call-minutes. Out of, for each backend: " + denominators(groups) + "."}
	if slices.ContainsFunc(groups, func(g *figures.Group) bool { return len(g.Used()) > 1 }) {
		out = append(out, "Counts are summed over the valid repeats; percentiles are the median of each repeat's own; the gap is the worst of all.")
	}
	out = append(out, marksOf(groups, figures.Inference, figures.Setup)...)
	return append(out, notCompared(groups)...)
}

// notCompared names the runs that are not compared, and why.
func notCompared(groups []*figures.Group) []string {
	var out []string
	name := backendName(groups)
	for _, g := range groups {
		for _, r := range g.All {
			if !r.GetValid() {
				out = append(out, fmt.Sprintf(notRanked+"%s, repeat %d, is not valid and not compared: %s",
					name(g), r.GetRepeat(), strings.Join(r.GetInvalidReasons(), "; ")))
			}
		}
	}
	return out
}

// marksOf are the sentences below a comparison that hold for these groups: what its marks on these histograms mean, and
// what its columns do not show.
func marksOf(groups []*figures.Group, histograms ...string) []string {
	var out []string
	if n := shownRepeats(groups); n != "" {
		out = append(out, n)
	}
	if slices.ContainsFunc(groups, func(g *figures.Group) bool { return hasExtreme(g, histograms) }) {
		out = append(out, extremeMark+" the largest sample: under 100 are too few for p99, under 1,000 for p99.9.")
	}
	if n := idlePods(groups); n != "" {
		out = append(out, n)
	}
	var down []string
	for _, g := range groups {
		if n, ok := g.Count(figures.CallsDownAtEnd); ok && n > 0 {
			down = append(down, nameOf(g)+" "+count(n))
		}
	}
	if len(down) > 0 {
		out = append(out, "Calls that were down when the run ended (a loss in its last 10 s is not a dropped call yet): "+strings.Join(down, ", ")+".")
	}
	return out
}

// shownRepeats says which repeats the figures come from where the backends have different ones that are valid.
func shownRepeats(groups []*figures.Group) string {
	uneven := slices.ContainsFunc(groups, func(g *figures.Group) bool { return g.Ranked() && len(g.Used()) < len(g.Valid) })
	if uneven {
		i := slices.IndexFunc(groups, (*figures.Group).Ranked)
		var repeats []string
		for _, r := range groups[i].Used() {
			repeats = append(repeats, fmt.Sprint(max(r.GetRepeat(), 1)))
		}
		return "Not all repeats are valid for all backends: compared is only what is (repeat " + strings.Join(repeats, ", ") + ")."
	}
	runs := map[int]bool{}
	for _, g := range groups {
		if g.Ranked() {
			runs[len(g.Used())] = true
		}
	}
	if len(runs) > 1 {
		return "No repeat is valid for all backends, so that their counts are sums over different numbers of runs: compare the rates."
	}
	return ""
}

func hasExtreme(g *figures.Group, histograms []string) bool {
	for _, h := range histograms {
		for _, p := range shownPercentiles {
			if g.Extreme(h, p.value) {
				return true
			}
		}
	}
	return false
}

// settingGapThreshold is a result's setting of how long a gap in the audio must be to count as an interruption.
const settingGapThreshold = "gap_threshold"

// thresholdOf says from which gap on media counts as interrupted.
func thresholdOf(groups []*figures.Group) string {
	var said []string
	for _, g := range groups {
		for _, r := range g.Used() {
			if t := r.GetSettings()[settingGapThreshold]; t != "" && !slices.Contains(said, t) {
				said = append(said, t)
			}
		}
	}
	if len(said) == 0 {
		said = []string{"200ms"}
	}
	return fmt.Sprintf("An interruption is a gap over the threshold (%s).", strings.Join(said, ", "))
}
