package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/smaran-v2/smaran/loadtest/internal/figures"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// DefaultWidth is how wide tables may be, in columns, where nothing is known about the terminal.
const DefaultWidth = 140

// Table writes the comparison of all backends, one table a scenario, no wider than the terminal that w is or DefaultWidth.
func Table(w io.Writer, r *reportv1.Report) error {
	return Tables(w, Width(w), r)
}

// Tables is Table over several reports, at a width in columns. Where a table would be wider it is split; nothing is left out.
func Tables(w io.Writer, width int, reports ...*reportv1.Report) error {
	groups := groupsOf(reports)
	if len(groups) == 0 {
		_, err := fmt.Fprintln(w, "The report holds no results.")
		return err
	}
	var out strings.Builder
	scenarios := scenariosOf(groups)
	if len(scenarios) > 1 {
		out.WriteString(trimmed(matrix(groups, scenarios, lostColumn()).Render()))
	}
	for _, s := range scenarios {
		of := inScenario(groups, s)
		if len(scenarios) > 1 {
			writeHeading(&out, s)
		}
		out.WriteString(comparison(of, width))
		for _, line := range legend(of) {
			out.WriteString(line + "\n")
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// notRanked marks what has no valid run.
const notRanked = "✗ "

// column is one column of the comparison.
type column struct {
	head string
	cell func(*figures.Group) string
	left bool
}

// backendName names the groups' backends, with the report that they are of where there are several.
func backendName(groups []*figures.Group) func(*figures.Group) string {
	labelled := slices.ContainsFunc(groups, func(g *figures.Group) bool { return g.Label != "" })
	return func(g *figures.Group) string {
		if labelled {
			return g.Backend + " (" + g.Label + ")"
		}
		return g.Backend
	}
}

func nameColumn(groups []*figures.Group) column {
	name := backendName(groups)
	return column{head: "\nbackend", left: true, cell: func(g *figures.Group) string {
		if !g.Ranked() {
			return notRanked + name(g)
		}
		return name(g)
	}}
}

func countColumn(head, name string) column {
	return column{head: head, cell: func(g *figures.Group) string { return countOr(g.Count(name)) }}
}

// ratedColumn shows a count with its rate by 1,000 call-minutes.
func ratedColumn(head, name string) column {
	return column{head: head, cell: func(g *figures.Group) string {
		n, ok := g.Count(name)
		if !ok {
			return absent
		}
		perMinutes, ok := g.PerThousandCallMinutes(name)
		if !ok {
			return count(n)
		}
		return count(n) + " (" + rate(perMinutes) + ")"
	}}
}

// comparisonColumns are the two halves of the table: what happened to the calls, and how long it took.
func comparisonColumns() (calls, times []column) {
	calls = []column{
		{head: "sessions moved/\npredicted", cell: func(g *figures.Group) string { return moved(g.Moved(figures.EveryEvent)) }},
		countColumn("mis-\nroutes", figures.Misroutes),
		ratedColumn("calls\ndropped*", figures.DroppedCalls),
		ratedColumn("media in-\nterrupted*", figures.MediaInterruptions),
		countColumn("renego-\ntiated", figures.Renegotiations),
		countColumn("mi-\ngrated", figures.Migrations),
		countColumn("cold\nstarts", figures.ColdStarts),
		countColumn("state\nlost", figures.StateLost),
	}
	times = []column{
		{head: "infer. ms\np50/p99", cell: func(g *figures.Group) string {
			return percentileText(g, figures.Inference, 50) + "/" + percentileText(g, figures.Inference, 99)
		}},
		{head: "set-up\np99 ms", cell: func(g *figures.Group) string { return percentileText(g, figures.Setup, 99) }},
		{head: "worst\ngap ms", cell: func(g *figures.Group) string {
			worst, ok := g.Max(figures.Gap)
			worst.Median = worst.High // the worst of all repeats, not the middle one
			return millisOr(worst, ok)
		}},
		countColumn("req.\nfailed", figures.RequestsFailed),
		{head: "valid\nruns", cell: func(g *figures.Group) string { return fmt.Sprintf("%d/%d", len(g.Valid), len(g.All)) }},
	}
	return calls, times
}

func comparison(groups []*figures.Group, width int) string {
	name := nameColumn(groups)
	calls, times := comparisonColumns()
	whole := render(groups, append(append([]column{name}, calls...), times...))
	if widest(whole) <= width {
		return whole
	}
	return render(groups, append([]column{name}, calls...)) + "\n" + render(groups, append([]column{name}, times...))
}

func render(groups []*figures.Group, columns []column) string {
	t := newTable()
	head := make(table.Row, len(columns))
	configs := make([]table.ColumnConfig, len(columns))
	for i, c := range columns {
		head[i] = c.head
		align := text.AlignRight
		if c.left {
			align = text.AlignLeft
		}
		configs[i] = table.ColumnConfig{Number: i + 1, Align: align, AlignHeader: align}
	}
	t.AppendHeader(head)
	t.SetColumnConfigs(configs)
	for _, g := range groups {
		row := make(table.Row, len(columns))
		for i, c := range columns {
			row[i] = c.cell(g)
		}
		t.AppendRow(row)
	}
	return trimmed(t.Render())
}

// denominators are the ranges over the groups of what their counts are out of.
func denominators(groups []*figures.Group) string {
	var minutes, events, requests, calls []float64
	for _, g := range groups {
		d := g.Denominators()
		minutes = append(minutes, d.GetCallMinutes())
		events = append(events, float64(d.GetEvents()))
		requests = append(requests, float64(d.GetRequests()))
		calls = append(calls, float64(d.GetCallsPlaced()))
	}
	return ends(minutes, "call-minute") + ", " + ends(events, "event") + ", " + ends(requests, "request") + " and " +
		ends(calls, "placed call")
}

// ends is "2 events", or "35–447 events" where the values differ.
func ends(values []float64, noun string) string {
	low, high := rate(slices.Min(values)), rate(slices.Max(values))
	switch {
	case low != high:
		return low + "–" + high + " " + noun + "s"
	case low == "1":
		return "1 " + noun
	default:
		return low + " " + noun + "s"
	}
}

func newTable() table.Writer {
	t := table.NewWriter()
	style := table.StyleLight
	style.Name = "smaran"
	style.Options = table.Options{DrawBorder: false, SeparateColumns: false, SeparateHeader: true, SeparateRows: false}
	style.Format.Header = text.FormatDefault
	style.Box.PaddingLeft, style.Box.PaddingRight = "", "  "
	t.SetStyle(style)
	return t
}

func writeHeading(out *strings.Builder, s string) {
	fmt.Fprintf(out, "\n%s\n%s\n", s, strings.Repeat("═", text.StringWidthWithoutEscSequences(s)))
}

// trimmed is a rendered table without spaces at the ends of its lines.
func trimmed(rendered string) string {
	var out strings.Builder
	for line := range strings.Lines(rendered) {
		out.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return out.String()
}

func widest(s string) int {
	width := 0
	for line := range strings.Lines(s) {
		width = max(width, text.StringWidthWithoutEscSequences(strings.TrimRight(line, " \n")))
	}
	return width
}

// groupsOf gathers the results of several reports; they carry labels only where several have any.
func groupsOf(reports []*reportv1.Report) []*figures.Group {
	var out []*figures.Group
	withResults := 0
	for _, r := range reports {
		if len(r.GetResults()) > 0 {
			withResults++
		}
	}
	labels := labelsOf(reports)
	for i, r := range reports {
		label := ""
		if withResults > 1 {
			label = labels[i]
		}
		out = append(out, figures.Groups(label, r.GetResults())...)
	}
	for _, scenario := range scenariosOf(out) {
		figures.Even(inScenario(out, scenario))
	}
	if withResults > 1 {
		order := scenariosOf(out)
		slices.SortStableFunc(out, func(a, b *figures.Group) int {
			if d := slices.Index(order, a.Scenario) - slices.Index(order, b.Scenario); d != 0 {
				return d
			}
			return figures.CompareBackends(a.Backend, b.Backend)
		})
	}
	return out
}

// labelsOf are the reports' names, each of them once: rows of reports with the same name would otherwise stand for one another.
func labelsOf(reports []*reportv1.Report) []string {
	var out []string
	for i, r := range reports {
		name := cmp.Or(r.GetRun().GetLabel(), r.GetRun().GetId(), fmt.Sprintf("report %d", i+1))
		label := name
		for n := 2; slices.Contains(out, label); n++ {
			label = fmt.Sprintf("%s (%d)", name, n)
		}
		out = append(out, label)
	}
	return out
}

func scenariosOf(groups []*figures.Group) []string {
	var out []string
	for _, g := range groups {
		if !slices.Contains(out, g.Scenario) {
			out = append(out, g.Scenario)
		}
	}
	return out
}

// inScenario are the groups of one scenario.
func inScenario(groups []*figures.Group, scenario string) []*figures.Group {
	return slices.DeleteFunc(slices.Clone(groups), func(g *figures.Group) bool { return g.Scenario != scenario })
}
