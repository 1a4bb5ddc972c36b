package signals

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrTable is returned for a text without the table that is looked for, or with a row that does not fit it.
var ErrTable = errors.New("signals: no table")

// Metric is a row of docs/telemetry.md.
type Metric struct {
	// Name as /metrics has it, without what a histogram's series add.
	Name string
	// Type is counter, gauge or histogram.
	Type                          string
	Unit, Labels, EmittedBy, Says string
}

// columns are the table's head.
var columns = []string{"name", "type", "unit", "labels", "emitted by", "says"}

// Table reads the metrics of a Markdown text: the rows of every table in it that has the columns name, type, unit, labels, emitted by and says.
// It fails with ErrTable if there is none, and for a row with a type that Prometheus does not have.
func Table(markdown string) (metrics []Metric, err error) {
	read, err := rows(markdown, columns)
	if err != nil {
		return nil, err
	}
	for _, cells := range read {
		m := Metric{cells[0], cells[1], cells[2], cells[3], cells[4], cells[5]}
		if !slices.Contains([]string{"counter", "gauge", "histogram"}, m.Type) {
			return nil, fmt.Errorf("%w: %s is of type %q", ErrTable, m.Name, m.Type)
		}
		metrics = append(metrics, m)
	}
	return metrics, nil
}

// rows are those of every table of a Markdown text that has these columns. It fails with ErrTable if there is none, and for a row with more
// cells or fewer.
func rows(markdown string, columns []string) (read [][]string, err error) {
	inside := false
	for line := range strings.Lines(markdown) {
		cells, ok := row(line)
		switch {
		case !ok:
			inside = false
		case slices.Equal(cells, columns):
			inside = true
		case !inside || strings.Trim(cells[0], "-: ") == "":
		case len(cells) != len(columns):
			return nil, fmt.Errorf("%w: %d cells in %q", ErrTable, len(cells), line)
		default:
			read = append(read, cells)
		}
	}
	if len(read) == 0 {
		return nil, fmt.Errorf("%w with the columns %q", ErrTable, columns)
	}
	return read, nil
}

// row is a line's cells, without the backquotes around them.
func row(line string) (cells []string, ok bool) {
	line = strings.TrimSpace(line)
	if !strings.HasPrefix(line, "|") || !strings.HasSuffix(line, "|") || len(line) < 2 {
		return nil, false
	}
	const bar = "\x00" // what \| stands for
	for cell := range strings.SplitSeq(strings.ReplaceAll(line[1:len(line)-1], `\|`, bar), "|") {
		cells = append(cells, strings.Trim(strings.ReplaceAll(strings.TrimSpace(cell), bar, "|"), "`"))
	}
	return cells, true
}

// Has reports whether the metric gives a series of that name: its own, or one of those that a histogram in its classic form has.
func (m Metric) Has(series string) bool {
	suffix, ok := strings.CutPrefix(series, m.Name)
	if m.Type == "histogram" {
		return ok && slices.Contains([]string{"", "_bucket", "_sum", "_count"}, suffix)
	}
	return ok && suffix == ""
}
