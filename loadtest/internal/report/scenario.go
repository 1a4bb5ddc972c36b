package report

import (
	"fmt"
	"html/template"
	"slices"
	"strings"

	"github.com/smaran-v2/smaran/loadtest/internal/figures"
	"github.com/smaran-v2/smaran/loadtest/internal/report/chart"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// scenarioView is one scenario's section.
type scenarioView struct {
	ID, Name    string
	Events      string
	OutOf       string
	Marks       []string // what is said below the comparison
	Threshold   string
	Repeats     string
	Comparison  tableView
	Timelines   []timelineView
	TimelineOf  string
	Classes     []classView
	Never       string // classes that no backend saw
	Moved       []movedView
	ByEvent     []eventView
	Percentiles []percentileView
	Gaps        []panelView
	GapTable    tableView
	Pods        []panelView
	PodsOf      string
	PodsTable   []podsView
	Differences differencesView
	Validity    []validityView
	Settings    []settingsView
}

// panelView is one backend's chart.
type panelView struct {
	backendView
	Note    string
	Invalid bool
	SVG     template.HTML
}

// eventView is what one event did to each backend.
type eventView struct {
	Name  string
	Table tableView
}

func scenarioOf(id, name string, groups []*figures.Group, ids *idSource) scenarioView {
	s := scenarioView{
		ID: id, Name: name,
		Events:      strings.Join(eventsOf(groups), ", "),
		OutOf:       denominators(groups),
		Comparison:  tableOf(groups, comparisonFigures()),
		Timelines:   timelinesOf(groups, ids),
		Percentiles: percentilesOf(groups),
		Gaps:        gapsOf(groups, ids),
		GapTable:    tableOf(groups, gapFigures()),
		Pods:        podsOf(groups, ids),
		PodsTable:   podTablesOf(groups),
		Validity:    validityOf(groups),
		Settings:    settingsOf(groups),
	}
	s.Marks, s.Threshold = marksOf(groups, figures.Inference, figures.InferenceWarm, figures.InferenceCold, figures.Setup, figures.Gap), thresholdOf(groups)
	s.Classes, s.Never = classesOf(groups)
	if slices.ContainsFunc(groups, func(g *figures.Group) bool { return len(g.Used()) > 1 }) {
		s.Repeats = "Counts are summed over the valid repeats. Percentiles are the median of each repeat's own, with the lowest and the " +
			"highest below; they are never averaged. The gap is the worst of all."
		s.TimelineOf = "Drawn is the first valid repeat."
		s.PodsOf = s.TimelineOf + " Peak/mean is the median of each repeat's own: no pod is added up over repeats."
	}
	for _, event := range eventsOf(groups) {
		had := withEvent(groups, event)
		if m, ok := movedOf(event, had); ok {
			s.Moved = append(s.Moved, m)
		}
		s.ByEvent = append(s.ByEvent, eventView{Name: event, Table: tableOf(had, eventFigures(event))})
	}
	return s
}

// eventFigures are the counts from an event's start to the next one's.
func eventFigures(event string) []figure {
	out := []figure{{head{"Took", "", "From the command until the fleet said it was complete"}, func(g *figures.Group) (float64, string, string, bool) {
		t := eventTook(g.EventsNamed(event))
		return 1, t, "", t != absent
	}}}
	for _, class := range append(figures.Classes(), figures.ColdStarts, figures.RequestsFailed) {
		out = append(out, figure{head{Name: capital(className(class))}, func(g *figures.Group) (float64, string, string, bool) {
			n, times, ok := g.EventCount(event, class)
			sub := ""
			if times > 1 && n > 0 {
				sub = "in " + count(uint64(times))
			}
			return float64(n), count(n), sub, ok
		}})
	}
	return out
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// classView is one disconnect class over the backends.
type classView struct {
	Name, Help string
	Bars       []barView
}

type barView struct {
	backendView
	Width   template.CSS
	Main    string
	Sub     string
	Zero    bool
	Invalid bool
}

var classHelp = map[string]string{
	figures.DroppedNoMedia:     "no media for 10 s; at most once a call",
	figures.DroppedStateLost:   "conversation lost; at most once a call",
	figures.StateLost:          "turn or checksum went back; once a loss",
	figures.MediaInterruptions: "audio gap over the threshold",
	figures.Renegotiations:     "new peer connection after a loss",
	figures.Misroutes:          "request at a pod without the call",
	figures.SetupFailures:      "an attempt to set a call up failed",
	figures.SignalReconnects:   "signalling lost, media intact",
	figures.Migrations:         "planned move to another pod",
}

// classesOf are the classes that some backend saw, and the names of those that were counted and that none did.
func classesOf(groups []*figures.Group) (out []classView, never string) {
	var none []string
	for _, class := range figures.Classes() {
		var most float64
		var seen uint64
		counted := false
		for _, g := range groups {
			v, ok := g.PerThousandCallMinutes(class)
			counted = counted || ok
			n, _ := g.Count(class)
			seen += n
			if ok && g.Ranked() {
				most = max(most, v)
			}
		}
		if counted && seen == 0 {
			none = append(none, className(class))
		}
		if seen == 0 {
			continue
		}
		view := classView{Name: capital(className(class)), Help: classHelp[class]}
		for _, g := range groups {
			v, ok := g.PerThousandCallMinutes(class)
			bar := barView{backendView: viewOf(g), Main: absent, Invalid: !g.Ranked(), Width: "width:0"}
			if ok {
				n, _ := g.Count(class)
				bar.Main, bar.Zero = rate(v), n == 0
				if n > 0 {
					bar.Sub = count(n)
				}
				if most > 0 {
					bar.Width = template.CSS(fmt.Sprintf("width:%.1f%%", min(100*v/most, 100))) //nolint:gosec // a number
				}
			}
			view.Bars = append(view.Bars, bar)
		}
		out = append(out, view)
	}
	return out, strings.Join(none, ", ")
}

// movedView is what an event moved, by backend.
type movedView struct {
	Event string
	Least string
	At    template.CSS
	Rows  []movedRow
}

type movedRow struct {
	backendView
	Width, Predicted, Least                               template.CSS
	HasPrediction, HasLeast                               bool
	Share, Detail, PredictedText, Miss, Detoured, ByMoves string
	Invalid                                               bool
}

func movedOf(event string, groups []*figures.Group) (movedView, bool) {
	view := movedView{Event: event}
	for _, g := range groups {
		m, ok := g.Moved(func(e *reportv1.Event) bool { return e.GetName() == event })
		share, hasShare := m.Share()
		if !ok || !hasShare {
			continue
		}
		row := movedRow{
			backendView: viewOf(g), Width: position("width", share), Share: percent(share),
			Detail: count(m.Moved) + " of " + count(m.Observed), PredictedText: absent, Invalid: !g.Ranked(), Detoured: count(m.Detoured),
			ByMoves: byMoves(m.ByMoves),
		}
		if p, ok := m.PredictedShare(); ok {
			row.HasPrediction, row.Predicted, row.PredictedText = true, position("left", p), count(m.Predicted)+" ("+percent(p)+")"
		}
		if m.HasMinimalShare {
			row.HasLeast, row.Least = true, position("left", m.MinimalShare)
			view.Least = percent(m.MinimalShare)
		}
		if m.HasMispredicted {
			row.Miss = count(m.Mispredicted)
		} else {
			row.Miss = absent
		}
		view.Rows = append(view.Rows, row)
	}
	return view, len(view.Rows) > 0
}

// position is a CSS length by a share of the whole.
func position(property string, share float64) template.CSS {
	return template.CSS(fmt.Sprintf("%s:%.2f%%", property, 100*min(max(share, 0), 1))) //nolint:gosec // a number
}

// percentileView is one histogram's percentiles by backend on a shared logarithmic axis.
type percentileView struct {
	Name  string
	Ticks []tickView
	Rows  []percentileRow
}

type tickView struct {
	Label, Class string
	At           template.CSS
}

type percentileRow struct {
	backendView
	Samples string
	Span    template.CSS
	Dots    []dotView
	Invalid bool
}

type dotView struct {
	Name, Class, Value, Spread string
	At                         template.CSS
	Absent                     bool
}

func percentilesOf(groups []*figures.Group) []percentileView {
	var out []percentileView
	for _, h := range []struct{ name, histogram string }{
		{"Inference, all", figures.Inference},
		{"Inference at the session's own pod (warm)", figures.InferenceWarm},
		{"Inference at a pod without the session (cold)", figures.InferenceCold},
		{"Call set-up, to the first packet of audio", figures.Setup},
	} {
		if view, ok := percentileViewOf(h.name, h.histogram, groups); ok {
			out = append(out, view)
		}
	}
	return out
}

var shownPercentiles = [...]struct {
	value       float64
	name, class string
}{{50, "p50", "p50"}, {90, "p90", "p90"}, {99, "p99", "p99"}, {99.9, "p99.9", "p999"}}

func percentileViewOf(name, histogram string, groups []*figures.Group) (percentileView, bool) {
	low, high := 0.0, 0.0
	for _, g := range groups {
		for _, p := range shownPercentiles {
			if r, ok := g.Percentile(histogram, p.value); ok && r.Median > 0 {
				if low == 0 || r.Median < low {
					low = r.Median
				}
				high = max(high, r.Median)
			}
		}
	}
	if low == 0 {
		return percentileView{}, false
	}
	from, to := chart.LogBounds(low, high)
	view := percentileView{Name: name}
	view.Ticks = ticksOf(from, to)
	for _, g := range groups {
		row := percentileRow{backendView: viewOf(g), Samples: count(g.Samples(histogram)), Invalid: !g.Ranked()}
		first, last := -1.0, -1.0
		for _, p := range shownPercentiles {
			r, ok := g.Percentile(histogram, p.value)
			if !ok || r.Median <= 0 {
				row.Dots = append(row.Dots, dotView{Name: p.name, Class: p.class, Value: absent, Absent: true})
				continue
			}
			at := chart.LogShare(r.Median, from, to)
			if first < 0 {
				first = at
			}
			last = at
			row.Dots = append(row.Dots, dotView{
				Name: p.name, Class: p.class, Value: percentileText(g, histogram, p.value), Spread: spread(r), At: position("left", at),
			})
		}
		if last > first {
			row.Span = position("left", first) + ";" + position("width", last-first)
		} else {
			row.Span = "width:0"
		}
		view.Rows = append(view.Rows, row)
	}
	return view, true
}

// ticksOf are the ticks of a logarithmic axis; of two that are too near each other only the first is labelled.
func ticksOf(from, to float64) []tickView {
	const apart = 0.28 // of the axis: room for a label
	var out []tickView
	last := -apart
	for _, t := range chart.LogTicks(from, to) {
		at := chart.LogShare(t, from, to)
		tick := tickView{At: position("left", at)}
		if at-last >= apart {
			tick.Label, last = chart.Millis(t), at
		}
		switch {
		case at < 0.05:
			tick.Class = "first" // begins at its tick, so that it needs more room to its right
			last = at + apart/3
		case at > 0.95:
			tick.Class = "last"
		}
		out = append(out, tick)
	}
	return out
}
