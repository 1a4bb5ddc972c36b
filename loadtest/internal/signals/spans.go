package signals

import (
	"fmt"
	"slices"
	"strings"
)

// Span is a row of docs/telemetry.md; a row that names several spans gives several.
type Span struct {
	Name string
	// Kinds are of OpenTelemetry: internal, client, server. By are the programs.
	Kinds, Attributes, By []string
}

// spanColumns are the table's head.
var spanColumns = []string{"span", "kind", "attributes", "emitted by", "says"}

// Spans reads the spans of a Markdown text, as Table does its metrics. It fails with ErrTable if there is no such table.
func Spans(markdown string) (spans []Span, err error) {
	read, err := rows(markdown, spanColumns)
	if err != nil {
		return nil, err
	}
	for _, cells := range read {
		for _, name := range fields(cells[0]) {
			spans = append(spans, Span{name, fields(cells[1]), fields(cells[2]), fields(cells[3])})
		}
	}
	return spans, nil
}

// instrumentations begin the names of attributes that OpenTelemetry's own instrumentation adds; no table lists them.
var instrumentations = []string{"http.", "rpc.", "url.", "net.", "network.", "server.", "client.", "user_agent.", "error."}

// SpanDifferences are those between a table and the spans that were emitted, as Differences has them.
func SpanDifferences(table []Span, seen Seen) []string {
	var out []string
	differs := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	listed := map[string]Span{}
	for _, s := range table {
		listed[s.Name] = s
		e := seen[s.Name]
		if e == nil {
			differs("span %s is listed, and nobody emits it", s.Name)
			continue
		}
		for _, kind := range s.Kinds {
			if !e.Types[kind] {
				differs("span %s is listed as %s, and is not", s.Name, kind)
			}
		}
		for _, by := range s.By {
			if !e.By[by] {
				differs("span %s is listed under %s, which does not emit it", s.Name, by)
			}
		}
		for _, attribute := range s.Attributes {
			if e.Labels[attribute] == nil {
				differs("span %s is listed with %s, and has it not", s.Name, attribute)
			}
		}
	}
	for name, e := range seen {
		s, ok := listed[name]
		if !ok {
			differs("span %s is emitted by %s, and not listed", name, join(e.By))
			continue
		}
		for kind := range e.Types {
			if !slices.Contains(s.Kinds, kind) {
				differs("span %s is of kind %s, which is not listed", name, kind)
			}
		}
		for by := range e.By {
			if !slices.Contains(s.By, by) {
				differs("span %s is emitted by %s, which is not listed", name, by)
			}
		}
		for attribute := range e.Labels {
			ours := !slices.ContainsFunc(instrumentations, func(prefix string) bool { return strings.HasPrefix(attribute, prefix) })
			if ours && !slices.Contains(s.Attributes, attribute) {
				differs("span %s has %s, which is not listed", name, attribute)
			}
		}
	}
	slices.Sort(out)
	return out
}
