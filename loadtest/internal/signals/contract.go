package signals

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Emitted is what was seen of one metric or span: who emitted it, as what, and with which labels or attributes. A metric's have values.
type Emitted struct {
	Types, By map[string]bool
	Labels    map[string]map[string]bool
}

// Seen is all that was, by name.
type Seen map[string]*Emitted

// Add notes that a metric or span was emitted by somebody as a type, with labels.
func (s Seen) Add(name, kind, by string, labels map[string]string) {
	e := s[name]
	if e == nil {
		e = &Emitted{Types: map[string]bool{}, By: map[string]bool{}, Labels: map[string]map[string]bool{}}
		s[name] = e
	}
	e.Types[kind], e.By[by] = true, true
	for label, value := range labels {
		if e.Labels[label] == nil {
			e.Labels[label] = map[string]bool{}
		}
		e.Labels[label][value] = true
	}
}

// goes are the beginnings of names that Go's own collectors and the handler of /metrics emit; no table lists them.
var goes = []string{"go_", "process_", "promhttp_"}

// Scraped adds what a program showed at /metrics, in Prometheus' text format. It fails for a text that is none.
func (s Seen) Scraped(by string, text io.Reader) error {
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(text)
	if err != nil {
		return fmt.Errorf("metrics of %s: %w", by, err)
	}
	for name, f := range families {
		if slices.ContainsFunc(goes, func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
			continue
		}
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			s.Add(name, strings.ToLower(f.GetType().String()), by, labels)
		}
	}
	return nil
}

// every stands for programs, all of which emit the metric.
const every = "all"

var programs = []string{"smaran", "jarvis", "mesh", "turn", "loadtest"}

// Differences are those between a table and what was emitted, either way, a line each and sorted; none is agreement.
func Differences(table []Metric, seen Seen) []string {
	var out []string
	differs := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	listed := map[string]Metric{}
	for _, m := range table {
		if _, twice := listed[m.Name]; twice {
			differs("%s is listed twice", m.Name)
		}
		listed[m.Name] = m
		if seen[m.Name] == nil {
			differs("%s is listed, and nobody emits it", m.Name)
		}
	}
	for name, e := range seen {
		m, ok := listed[name]
		if !ok {
			differs("%s is emitted by %s, and not listed", name, join(e.By))
			continue
		}
		for kind := range e.Types {
			if kind != m.Type {
				differs("%s is a %s, and listed as a %s", name, kind, m.Type)
			}
		}
		for by := range e.By {
			if m.EmittedBy != every && by != m.EmittedBy {
				differs("%s is emitted by %s, and listed under %s", name, by, m.EmittedBy)
			}
		}
		for _, program := range programs {
			if m.EmittedBy == every && !e.By[program] {
				differs("%s is listed under all, and %s does not emit it", name, program)
			}
		}
		want := m.labels()
		for label, values := range e.Labels {
			allowed, ok := want[label]
			if !ok {
				differs("%s has the label %s, which is not listed", name, label)
				continue
			}
			for value := range values {
				if allowed != nil && !slices.Contains(allowed, value) {
					differs("%s has %s=%q, which is not listed", name, label, value)
				}
			}
		}
		for label := range want {
			if e.Labels[label] == nil {
				differs("%s is listed with the label %s, and has none", name, label)
			}
		}
	}
	slices.Sort(out)
	return out
}

// labels are those of the row, with the values that they may have; nil is any.
func (m Metric) labels() map[string][]string {
	out := map[string][]string{}
	for _, label := range fields(m.Labels) {
		name, values, few := strings.Cut(label, "=")
		out[name] = nil
		if few {
			out[name] = strings.Split(values, "|")
		}
	}
	return out
}

// fields are the parts of a list with commas.
func fields(list string) []string {
	var out []string
	for part := range strings.SplitSeq(list, ",") {
		if part = strings.Trim(strings.TrimSpace(part), "`"); part != "" {
			out = append(out, part)
		}
	}
	return out
}

func join(set map[string]bool) string { return strings.Join(slices.Sorted(maps.Keys(set)), ", ") }
