package report

import (
	"fmt"
	"html/template"
	"slices"

	"github.com/smaran-v2/smaran/loadtest/internal/figures"
)

// cell is one figure of a table.
type cell struct {
	Main, Sub string
	// Heat tints the cell by how far it is above the least valid figure of its column, against the largest.
	Heat template.CSS
	// Zero is whether the figure was measured as nothing; Absent whether it was not measured.
	Zero, Absent bool
}

// tableView is a table of backends by figures.
type tableView struct {
	Heads []head
	Rows  []rowView
}

type head struct{ Name, Unit, Help string }

type rowView struct {
	backendView
	// Invalid is why the row is compared with nothing, or empty.
	Invalid string
	Cells   []cell
}

// figure is a column before its cells are tinted.
type figure struct {
	head
	value func(*figures.Group) (v float64, main, sub string, ok bool)
}

func tableOf(groups []*figures.Group, columns []figure) tableView {
	t := tableView{}
	for _, c := range columns {
		t.Heads = append(t.Heads, c.head)
	}
	least, most := make([]float64, len(columns)), make([]float64, len(columns))
	for i, c := range columns {
		seen := false
		for _, g := range groups {
			v, _, _, ok := c.value(g)
			if !ok || !g.Ranked() {
				continue
			}
			if !seen || v < least[i] {
				least[i] = v
			}
			seen, most[i] = true, max(most[i], v)
		}
	}
	for _, g := range groups {
		row := rowView{backendView: viewOf(g), Invalid: invalidity(g)}
		for i, c := range columns {
			v, main, sub, ok := c.value(g)
			if !ok {
				row.Cells = append(row.Cells, cell{Main: absent, Absent: true})
				continue
			}
			out := cell{Main: main, Sub: sub, Zero: v == 0}
			if g.Ranked() && v > least[i] {
				out.Heat = template.CSS(fmt.Sprintf("--heat:%.0f%%", 100*(v-least[i])/most[i])) //nolint:gosec // a number
			}
			row.Cells = append(row.Cells, out)
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// invalidity is why a group's figures are compared with nothing.
func invalidity(g *figures.Group) string {
	if g.Ranked() {
		return ""
	}
	return reasons(g)
}

func reasons(g *figures.Group) string {
	out := ""
	var said []string
	for _, r := range g.All {
		for _, why := range r.GetInvalidReasons() {
			if slices.Contains(said, why) {
				continue
			}
			said = append(said, why)
			if out != "" {
				out += "; "
			}
			out += why
		}
	}
	if out == "" {
		return "marked as not valid without a reason"
	}
	return out
}

// comparisonFigures are the columns of the main table.
func comparisonFigures() []figure {
	return []figure{
		{head{"Sessions moved", "of observed / predicted", "Sessions that another pod served after an event, and how many the algorithm says"}, movedFigure},
		countFigure("Misroutes", figures.Misroutes, "A request reached a pod that does not hold the call"),
		countFigure("Dropped calls", figures.DroppedCalls, "No media within 10 s, or the session's state was lost"),
		countFigure("Media interruptions", figures.MediaInterruptions, "Gaps over the threshold in the agent's audio"),
		countFigure("Renegotiations", figures.Renegotiations, "A new peer connection was needed after a loss"),
		countFigure("Cold starts", figures.ColdStarts, "Inferences at a pod without the session's cache"),
		countFigure("State lost", figures.StateLost, "The session's turn or checksum went back"),
		percentileFigure("Inference p50", figures.Inference, 50),
		percentileFigure("Inference p99", figures.Inference, 99),
		percentileFigure("Set-up p99", figures.Setup, 99),
		{head{"Worst gap", "ms", "The longest gap in any call's audio"}, worstGap},
		countFigure("Failed requests", figures.RequestsFailed, "Requests without an answer, by any cause"),
		{head{"Valid runs", "of all", "Repeats whose figures count"}, func(g *figures.Group) (float64, string, string, bool) {
			return 0, fmt.Sprintf("%d/%d", len(g.Valid), len(g.All)), "", true
		}},
	}
}

func movedFigure(g *figures.Group) (float64, string, string, bool) {
	m, ok := g.Moved(figures.EveryEvent)
	share, hasShare := m.Share()
	if !ok || !hasShare {
		return 0, "", "", false
	}
	sub := fmt.Sprintf("%s of %s", count(m.Moved), count(m.Observed))
	if m.HasPrediction {
		sub += " / " + count(m.Predicted)
	} else {
		sub += " / " + absent
	}
	return share, percent(share), sub, true
}

// countFigure is a count with its rate by call-minutes and by event.
func countFigure(name, class, help string) figure {
	return figure{head{Name: name, Help: help}, func(g *figures.Group) (float64, string, string, bool) {
		n, ok := g.Count(class)
		if !ok {
			return 0, "", "", false
		}
		perMinutes, ok := g.PerThousandCallMinutes(class)
		if !ok || n == 0 {
			return float64(n), count(n), "", true
		}
		sub := rate(perMinutes)
		if perEvent, ok := g.PerEvent(class); ok {
			sub += " · " + rate(perEvent)
		} else {
			sub += " · " + absent
		}
		return perMinutes, count(n), sub, true
	}}
}

func percentileFigure(name, histogram string, percentile float64) figure {
	return figure{head{name, "ms", ""}, func(g *figures.Group) (float64, string, string, bool) {
		r, ok := g.Percentile(histogram, percentile)
		return r.Median, percentileText(g, histogram, percentile), spread(r), ok
	}}
}

func worstGap(g *figures.Group) (float64, string, string, bool) {
	r, ok := g.Max(figures.Gap)
	return r.High, millis(r.High), "", ok
}
