package predict

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/smaran-v2/smaran/services/affinity"
)

// render is the prediction as two tables: what moves, and where the load is.
func render(policy affinity.Policy, from, to []affinity.Host, p affinity.Prediction) string {
	var out strings.Builder
	out.WriteString(movedTable(policy, from, to, p))
	out.WriteString("\nIn theory: the least that must move, of very many sessions, if the load is even before and after.\n\n")
	out.WriteString(loadTable(from, to, p))
	out.WriteString("\n")
	return out.String()
}

func movedTable(policy affinity.Policy, from, to []affinity.Host, p affinity.Prediction) string {
	t := newTable(2)
	t.AppendHeader(table.Row{"policy", "hosts", "sessions", "moved in theory", "predicted"})
	t.AppendRow(table.Row{
		string(policy),
		fmt.Sprintf("%d -> %d", len(from), len(to)),
		p.Total,
		percent(affinity.LeastMoved(from, to)),
		fmt.Sprintf("%s (%d)", percent(p.MovedShare()), p.Moved),
	})
	return t.Render()
}

func loadTable(from, to []affinity.Host, p affinity.Prediction) string {
	t := newTable(1)
	t.AppendHeader(table.Row{"host", "sessions before", "after"})
	listed := map[string]bool{}
	for _, hosts := range [][]affinity.Host{from, to} {
		for _, h := range hosts {
			if !listed[h.Address] {
				t.AppendRow(table.Row{h.Address, load(p.LoadFrom, h.Address), load(p.LoadTo, h.Address)})
				listed[h.Address] = true
			}
		}
	}
	t.AppendFooter(table.Row{"peak / mean", peak(p.LoadFrom), peak(p.LoadTo)})
	return t.Render()
}

// newTable has all columns from number on aligned to the right.
func newTable(number int) table.Writer {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Format.Header, t.Style().Format.Footer = text.FormatDefault, text.FormatDefault
	var columns []table.ColumnConfig
	for n := number + 1; n <= 5; n++ {
		columns = append(columns, table.ColumnConfig{
			Number: n, Align: text.AlignRight, AlignHeader: text.AlignRight, AlignFooter: text.AlignRight,
		})
	}
	t.SetColumnConfigs(columns)
	return t
}

// load is a host's sessions, or a dash where the host is not there.
func load(of map[string]int, host string) string {
	n, ok := of[host]
	if !ok {
		return "-"
	}
	return strconv.Itoa(n)
}

// peak is the highest load over the mean, or a dash without sessions.
func peak(of map[string]int) string {
	highest, sum := 0, 0
	for _, n := range of {
		highest, sum = max(highest, n), sum+n
	}
	if sum == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", float64(highest*len(of))/float64(sum))
}

func percent(share float64) string { return fmt.Sprintf("%.1f%%", 100*share) }
