package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/smaran-v2/smaran/loadtest/internal/figures"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// EventTables writes what each event did, one table a scenario and event.
func EventTables(w io.Writer, width int, reports ...*reportv1.Report) error {
	groups := groupsOf(reports)
	var out strings.Builder
	for _, scenario := range scenariosOf(groups) {
		of := inScenario(groups, scenario)
		for _, event := range eventsOf(of) {
			writeHeading(&out, scenario+": "+event)
			out.WriteString(eventTable(of, event, width))
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}

func eventsOf(groups []*figures.Group) []string {
	var names []string
	for _, g := range groups {
		for _, name := range g.Events() {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// withEvent are the groups that had the event.
func withEvent(groups []*figures.Group, event string) []*figures.Group {
	return slices.DeleteFunc(slices.Clone(groups), func(g *figures.Group) bool { return len(g.EventsNamed(event)) == 0 })
}

func eventTable(groups []*figures.Group, event string, width int) string {
	match := func(e *reportv1.Event) bool { return e.GetName() == event }
	columns := []column{
		nameColumn(groups),
		{head: "sessions moved/\npredicted", cell: func(g *figures.Group) string { return moved(g.Moved(match)) }},
		{head: "moves of a\nsession", cell: func(g *figures.Group) string {
			m, _ := g.Moved(match)
			return byMoves(m.ByMoves)
		}},
		{head: "share\nmoved", cell: func(g *figures.Group) string {
			m, _ := g.Moved(match)
			share, ok := m.Share()
			return percentOr(share, ok)
		}},
		{head: "fewest\npossible", cell: func(g *figures.Group) string {
			m, ok := g.Moved(match)
			return percentOr(m.MinimalShare, ok && m.HasMinimalShare)
		}},
		{head: "mis-\npredicted", cell: func(g *figures.Group) string {
			m, ok := g.Moved(match)
			return countOr(m.Mispredicted, ok && m.HasMispredicted)
		}},
	}
	for _, c := range []struct{ head, name string }{
		{"calls\ndropped", figures.DroppedCalls},
		{"media in-\nterrupted", figures.MediaInterruptions},
		{"renego-\ntiated", figures.Renegotiations},
		{"mis-\nroutes", figures.Misroutes},
		{"state\nlost", figures.StateLost},
		{"cold\nstarts", figures.ColdStarts},
	} {
		columns = append(columns, column{head: c.head, cell: func(g *figures.Group) string {
			n, _, ok := g.EventCount(event, c.name)
			return countOr(n, ok)
		}})
	}
	columns = append(columns, column{head: "times", cell: func(g *figures.Group) string {
		return count(uint64(len(g.EventsNamed(event))))
	}}, column{head: "took", cell: func(g *figures.Group) string { return eventTook(g.EventsNamed(event)) }})
	had := withEvent(groups, event)
	out := render(had, columns)
	if widest(out) > width {
		const half = 6
		out = render(had, columns[:half]) + "\n" + render(had, append([]column{columns[0]}, columns[half:]...))
	}
	for _, g := range had {
		for _, e := range g.EventsNamed(event) {
			if e.GetError() != "" {
				out += fmt.Sprintf("✗ %s: the event failed: %s\n", g.Backend, e.GetError())
			}
		}
	}
	return out
}

// byMoves is how many sessions moved how often, such as "47×1 2×3". Where that would be long it is the most only.
func byMoves(sessions []uint64) string {
	var parts []string
	for times, n := range sessions {
		if times > 0 && n > 0 {
			parts = append(parts, fmt.Sprintf("%s×%d", count(n), times))
		}
	}
	const few = 3
	switch {
	case len(parts) == 0:
		return absent
	case len(parts) > few:
		return fmt.Sprintf("up to %d", len(sessions)-1)
	}
	return strings.Join(parts, " ")
}

// eventTook is how long the fleet took for the event, the median over its repeats.
func eventTook(events []*reportv1.Event) string {
	var values []float64
	for _, e := range events {
		if e.GetFinishedMs() >= e.GetStartedMs() && e.GetFinishedMs() > 0 {
			values = append(values, e.GetFinishedMs()-e.GetStartedMs())
		}
	}
	r, ok := figures.Over(values)
	if !ok {
		return absent
	}
	return took(r.Median)
}

func percentOr(share float64, ok bool) string {
	if !ok {
		return absent
	}
	return percent(share)
}
