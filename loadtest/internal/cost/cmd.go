package cost

import (
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// Cmd is `loadtest cost`.
type Cmd struct {
	Assumptions Assumptions `embed:""`
}

// Help is shown by `loadtest cost --help`.
func (*Cmd) Help() string {
	return "Calculated from assumptions, all of them flags; nothing is measured. jarvis' own pods cost the same under every backend and are " +
		"left out. A cluster that has a mesh for another reason, such as mTLS, pays for it under every backend."
}

// Run prints the assumptions and a bill for each backend.
func (c *Cmd) Run(stdout io.Writer) error {
	given := newTable()
	given.AppendHeader(table.Row{"assumption", "", "value"})
	for _, f := range c.Assumptions.fields() {
		given.AppendRow(table.Row{"--" + f.flag, f.help, fmt.Sprintf("%g", f.value)})
	}
	bills := newTable()
	bills.AppendHeader(table.Row{"backend", "made of", "$ a month"})
	for _, b := range c.Assumptions.Bills() {
		var parts []string
		for _, i := range b.Items {
			parts = append(parts, fmt.Sprintf("%s $%.2f (%s)", i.Name, i.USD, i.Made))
		}
		bills.AppendRow(table.Row{string(b.Backend), strings.Join(parts, " + "), fmt.Sprintf("%.2f", b.Total())})
	}
	_, err := fmt.Fprintf(stdout, "Assumptions, not measurements:\n%s\n\nBeyond jarvis' own pods, which cost the same under all:\n%s\n\nThe mesh costs as much as Redis at %.0f sidecars.\n",
		given.Render(), bills.Render(), c.Assumptions.BreakEven())
	return err
}

func newTable() table.Writer {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Format.Header = text.FormatDefault
	t.SetColumnConfigs([]table.ColumnConfig{{Number: 3, Align: text.AlignRight, AlignHeader: text.AlignRight}})
	return t
}
