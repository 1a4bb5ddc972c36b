package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/smaran-v2/smaran/loadtest/internal/figures"
	"github.com/smaran-v2/smaran/loadtest/internal/report/chart"
	"github.com/smaran-v2/smaran/loadtest/internal/threshold"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// The bins of the gap histogram: from one packet of 20 ms to the 10 s after which a call counts as dropped, ten to a decade.
const (
	gapFrom   = 20
	gapTo     = 10_000
	gapDecade = 10
)

func gapsOf(groups []*figures.Group, ids *idSource) []panelView {
	edges := chart.Bins(gapFrom, gapTo, gapDecade)
	var most uint64
	counts := map[*figures.Group][]uint64{}
	for _, g := range groups {
		if g.Samples(figures.Gap) == 0 {
			continue
		}
		bins := make([]uint64, len(edges)-1)
		for _, r := range g.Used() {
			for _, b := range figures.Histogram(r, figures.Gap).GetData() {
				middle := (b.GetStart() + b.GetEnd()) / 2
				i, _ := slices.BinarySearch(edges, middle)
				bins[min(max(i-1, 0), len(bins)-1)] += b.GetCount()
			}
		}
		counts[g] = bins
		most = max(most, slices.Max(bins))
	}
	var out []panelView
	for _, g := range groups {
		bins, ok := counts[g]
		if !ok {
			continue
		}
		worst, _ := g.Max(figures.Gap)
		c := chart.Histogram{
			Caption: chart.Caption{
				ID: ids.next(), Title: nameOf(g) + ": the longest gap of each call in each second",
				Description: fmt.Sprintf("%s samples; the longest gap is %s.", count(g.Samples(figures.Gap)), took(worst.High)),
			},
			Edges: edges, Counts: bins, Most: most, Limits: gapLimits(),
		}
		out = append(out, panelView{backendView: viewOf(g), Note: "longest " + took(worst.High), Invalid: !g.Ranked(), SVG: c.SVG()})
	}
	return out
}

func gapFigures() []figure {
	count60 := countFigure("Over 60 ms", figures.GapsOver60ms, "")
	interruptions := countFigure("Media interruptions", figures.MediaInterruptions, "Gaps over the threshold")
	count1s := countFigure("Over 1 s", figures.GapsOver1s, "")
	excess := figure{head{"Excess of moved calls, p99", "ms", "p99 of the calls that moved above that of the calls that did not, in the same run"},
		func(g *figures.Group) (float64, string, string, bool) {
			r, ok := g.Over(func(r *reportv1.Result) (float64, bool) { return threshold.Value(r, threshold.GapMovedExcess) })
			sub := ""
			if r.Runs > 1 && r.Low != r.High {
				sub = signed(r.Low) + " to " + signed(r.High)
			}
			return r.Median, signed(r.Median), sub, ok
		}}
	samples := figure{head{"Samples", "", "The longest gap of each call in each second"}, func(g *figures.Group) (float64, string, string, bool) {
		n := g.Samples(figures.Gap)
		return 0, count(n), "", n > 0
	}}
	return []figure{
		samples, percentileFigure("p50", figures.Gap, 50), percentileFigure("p99", figures.Gap, 99),
		{head{"Worst", "ms", ""}, worstGap}, count60, interruptions, count1s, excess,
	}
}

// validityView is one run's account of itself.
type validityView struct {
	backendView
	Repeat                                                  string
	Valid                                                   bool
	Reasons                                                 []string
	Asked, Sent, Late, LagP50, LagP99, LagMax, Dropped, CPU string
	Errors                                                  string
	Thresholds                                              []thresholdView
}

type thresholdView struct {
	Expression, Found string
	Passed            bool
}

func validityOf(groups []*figures.Group) []validityView {
	var out []validityView
	for _, g := range groups {
		for _, r := range g.All {
			v := validityView{
				backendView: viewOf(g), Repeat: fmt.Sprint(max(r.GetRepeat(), 1)), Valid: r.GetValid(), Reasons: r.GetInvalidReasons(),
				Asked: rate(r.GetLoad().GetRequestedQps()), Sent: rate(r.GetLoad().GetActualQps()),
				Late: absent, LagP50: absent, LagP99: absent, LagMax: absent, Dropped: absent, CPU: absent, Errors: errorsOf(r),
			}
			if gen := r.GetGenerator(); gen != nil {
				v.Late, v.Dropped = percent(gen.GetLateShare()), count(gen.GetDroppedIterations())
				v.LagP50, v.LagP99, v.LagMax = millis(gen.GetLagP50Ms()), millis(gen.GetLagP99Ms()), millis(gen.GetLagMaxMs())
				v.CPU = fmt.Sprintf("%.2f", gen.GetCpuCores())
			}
			for _, t := range r.GetThresholds() {
				v.Thresholds = append(v.Thresholds, thresholdView{t.GetExpression(), t.GetFound(), t.GetPassed()})
			}
			out = append(out, v)
		}
	}
	return out
}

func errorsOf(r *reportv1.Result) string {
	if len(r.GetErrors()) == 0 {
		return ""
	}
	var parts []string
	for _, name := range figures.Names(r.GetErrors()) {
		parts = append(parts, name+" "+count(r.GetErrors()[name]))
	}
	return strings.Join(parts, ", ")
}

// settingsView is a backend's own words about itself.
type settingsView struct {
	backendView
	Settings []pair
}

type pair struct{ Name, Value string }

func settingsOf(groups []*figures.Group) []settingsView {
	var out []settingsView
	for _, g := range groups {
		view := settingsView{backendView: viewOf(g)}
		if len(g.Used()) == 0 {
			continue
		}
		view.Settings = pairs(g.Used()[0].GetSettings())
		if len(view.Settings) > 0 {
			out = append(out, view)
		}
	}
	return out
}
