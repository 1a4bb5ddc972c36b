package report

import (
	"slices"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/smaran-v2/smaran/loadtest/internal/figures"
)

// lostColumn is the figure of the overview: what happened to the calls, in short.
func lostColumn() column {
	return column{head: "dropped · interrupted", cell: func(g *figures.Group) string {
		return countOr(g.Count(figures.DroppedCalls)) + " · " + countOr(g.Count(figures.MediaInterruptions))
	}}
}

// matrix is one figure over all scenarios: a row for each backend, and for each report where there are several. What is not compared
// is marked, and so is what was not run.
func matrix(groups []*figures.Group, scenarios []string, figure column) table.Writer {
	t := newTable()
	head := table.Row{figure.head}
	configs := []table.ColumnConfig{{Number: 1, Align: text.AlignLeft}}
	for i, s := range scenarios {
		head = append(head, s)
		configs = append(configs, table.ColumnConfig{Number: i + 2, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	t.AppendHeader(head)
	t.SetColumnConfigs(configs)
	name := backendName(groups)
	type rowKey struct{ label, backend string }
	rows := map[rowKey]table.Row{}
	var order []rowKey
	for _, g := range groups {
		k := rowKey{g.Label, g.Backend}
		row, ok := rows[k]
		if !ok {
			row = make(table.Row, len(scenarios)+1)
			row[0] = name(g)
			for i := range scenarios {
				row[i+1] = absent
			}
			order = append(order, k)
			rows[k] = row
		}
		cell := figure.cell(g)
		if !g.Ranked() {
			cell = notRanked + cell
		}
		row[slices.Index(scenarios, g.Scenario)+1] = cell
	}
	for _, k := range order {
		t.AppendRow(rows[k])
	}
	return t
}
