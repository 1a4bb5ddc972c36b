package report

import (
	"context"
	"fmt"
	"io"

	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// Cmd is `loadtest report F.json…`: it renders stored reports again, and several of them over one another.
type Cmd struct {
	Files  []string `arg:"" name:"file" help:"report.json files; several are laid over one another by their label."`
	HTML   string   `name:"html" placeholder:"F" help:"Write the HTML report to F."`
	Width  int      `help:"Columns that the tables may take; 0 is the terminal's width."`
	Events bool     `help:"Also show each event by itself." xor:"events"`
	Claims bool     `help:"Also show the claims and their verdicts." xor:"claims"`

	Markdown bool `help:"Write a Markdown table for each figure instead, scenarios side by side, for a page of docs." xor:"events,claims"`
}

// Run loads the files and writes the tables to stdout.
func (c *Cmd) Run(_ context.Context, stdout io.Writer) error {
	reports := make([]*reportv1.Report, 0, len(c.Files))
	for _, path := range c.Files {
		r, err := Load(path)
		if err != nil {
			return err
		}
		reports = append(reports, r)
	}
	if err := c.write(stdout, reports); err != nil {
		return err
	}
	if c.HTML == "" {
		return nil
	}
	if err := SaveHTML(c.HTML, reports...); err != nil {
		return err
	}
	_, err := fmt.Fprintf(stdout, "\n%s written\n", c.HTML)
	return err
}

func (c *Cmd) write(stdout io.Writer, reports []*reportv1.Report) error {
	if c.Markdown {
		return Markdown(stdout, reports...)
	}
	width := c.Width
	if width <= 0 {
		width = Width(stdout)
	}
	if err := Tables(stdout, width, reports...); err != nil {
		return err
	}
	if c.Events {
		if err := EventTables(stdout, width, reports...); err != nil {
			return err
		}
	}
	if !c.Claims {
		return nil
	}
	return ClaimsTable(stdout, width, MergeClaims(reports))
}
