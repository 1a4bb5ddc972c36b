package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/smaran-v2/smaran/loadtest/internal/figures"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// Markdown writes the figures of Tables for a page of docs: a table for each, with a column a scenario. The rows of one backend follow
// each other, whichever report they are of. Below the tables is what is below those of Tables: without it the figures say more than they
// hold.
func Markdown(w io.Writer, reports ...*reportv1.Report) error {
	groups := groupsOf(reports)
	if len(groups) == 0 {
		_, err := fmt.Fprintln(w, "The report holds no results.")
		return err
	}
	scenarios := scenariosOf(groups)
	var out strings.Builder
	calls, times := comparisonColumns()
	rows := byBackend(groups)
	for i, figure := range slices.Concat([]column{lostColumn()}, calls, times) {
		if i > 0 {
			out.WriteString("\n")
		}
		figure.head = strings.NewReplacer("-\n", "", "/\n", " / ", "\n", " ", bracketMark, escapedMark).Replace(figure.head)
		out.WriteString(matrix(rows, scenarios, figure).RenderMarkdown() + "\n")
	}
	for _, s := range scenarios {
		of := inScenario(groups, s)
		fmt.Fprintf(&out, "\n%s:\n\n", s)
		for _, line := range legend(of) { // a list, since lines that follow each other would become one paragraph
			out.WriteString("- " + strings.ReplaceAll(line, bracketMark, escapedMark) + "\n")
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// escapedMark is bracketMark as text: by itself it would begin a list or emphasis.
const escapedMark = `\` + bracketMark

// byBackend has the rows of one backend follow each other, whichever report they are of.
func byBackend(groups []*figures.Group) []*figures.Group {
	out := slices.Clone(groups)
	slices.SortStableFunc(out, func(a, b *figures.Group) int { return figures.CompareBackends(a.Backend, b.Backend) })
	return out
}
