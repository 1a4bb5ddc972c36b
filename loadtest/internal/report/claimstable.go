package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/smaran-v2/smaran/loadtest/internal/claims"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// MergeClaims is one row for each of the 39 claims over several reports: the last report that decided a claim wins, so that
// a report of the claims' experiments laid over a comparison answers both. Claims that no report mentions are not run.
func MergeClaims(reports []*reportv1.Report) []*reportv1.Claim {
	merged := &reportv1.Report{}
	rows := map[uint32]*reportv1.Claim{}
	for _, r := range reports {
		for _, c := range r.GetClaims() {
			if old := rows[c.GetNumber()]; old == nil || !claims.Decided(old) || claims.Decided(c) {
				rows[c.GetNumber()] = c
			}
		}
	}
	for _, c := range rows {
		merged.Claims = append(merged.Claims, c)
	}
	return claims.Evaluate(merged)
}

// ClaimsTable writes the claims with what was measured and the verdict. Claims that were not run are listed by number below.
func ClaimsTable(w io.Writer, width int, rows []*reportv1.Claim) error {
	const fixed = 3 + 2 + 15 + 2 + 2 // number, verdict, and the space between columns
	half := max((width-fixed)/2, 24)
	t := newTable()
	t.AppendHeader(table.Row{"#", "claim", "measured", "verdict"})
	t.SetColumnConfigs([]table.ColumnConfig{
		{Number: 1, Align: text.AlignRight},
		{Number: 2, WidthMax: half, WidthMaxEnforcer: text.WrapSoft},
		{Number: 3, WidthMax: half, WidthMaxEnforcer: text.WrapSoft},
	})
	var notRun, elsewhere []string
	for _, c := range rows {
		switch {
		case claims.Decided(c):
			measured := c.GetMeasured()
			if c.GetNote() != "" {
				measured += " – " + c.GetNote()
			}
			t.AppendRow(table.Row{c.GetNumber(), c.GetText(), measured, VerdictText(c.GetVerdict())})
		case c.GetVerdict() == reportv1.Verdict_VERDICT_NOT_RUN:
			notRun = append(notRun, fmt.Sprintf("  %2d  %-64s %s", c.GetNumber(), text.Snip(c.GetText(), 64, "…"), c.GetNote()))
		default:
			elsewhere = append(elsewhere, fmt.Sprintf("  %2d  %-64s %s", c.GetNumber(), text.Snip(c.GetText(), 64, "…"), c.GetNote()))
		}
	}
	var out strings.Builder
	out.WriteString("\n")
	if t.Length() > 0 {
		out.WriteString(trimmed(t.Render()))
	}
	if len(notRun) > 0 {
		fmt.Fprintf(&out, "\nNot run in this report, and what runs them:\n%s\n", strings.Join(notRun, "\n"))
	}
	if len(elsewhere) > 0 {
		fmt.Fprintf(&out, "\nNot measurable here:\n%s\n", strings.Join(elsewhere, "\n"))
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// VerdictText is a verdict in words.
func VerdictText(v reportv1.Verdict) string {
	switch v {
	case reportv1.Verdict_VERDICT_REPRODUCED:
		return "reproduced"
	case reportv1.Verdict_VERDICT_NOT_REPRODUCED:
		return "not reproduced"
	case reportv1.Verdict_VERDICT_DEPENDS:
		return "depends"
	case reportv1.Verdict_VERDICT_NOT_MEASURABLE_HERE:
		return "not measurable"
	default:
		return "not run"
	}
}
