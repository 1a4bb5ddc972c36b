// Package threshold reads expressions such as 'dropped_calls==0' and judges a result by them.
//
// A threshold without samples fails: a run that measured nothing proves nothing.
package threshold

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/smaran-v2/smaran/loadtest/internal/figures"
	"github.com/smaran-v2/smaran/loadtest/internal/tally"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// ErrSyntax is returned for an expression that does not parse, or names no known figure.
var ErrSyntax = errors.New("bad threshold")

// Threshold is one condition.
type Threshold struct {
	// Name of the figure.
	Name string
	// Op is one of == != < <= > >=.
	Op string
	// Value in the figure's unit: a count, or milliseconds.
	Value float64
}

var expression = regexp.MustCompile(`^\s*([a-z][a-z0-9_]*)\s*(==|!=|<=|>=|<|>)\s*([0-9]+(?:\.[0-9]+)?)\s*$`)

// Parse reads one expression. It fails with ErrSyntax.
func Parse(s string) (Threshold, error) {
	m := expression.FindStringSubmatch(s)
	if m == nil {
		return Threshold{}, fmt.Errorf("%w %q: want NAME OP NUMBER, such as dropped_calls==0 or inference_p99_ms<400", ErrSyntax, s)
	}
	if !slices.Contains(Names(), m[1]) {
		return Threshold{}, fmt.Errorf("%w %q: no figure is called %s; use one of %s", ErrSyntax, s, m[1], strings.Join(Names(), ", "))
	}
	v, err := strconv.ParseFloat(m[3], 64)
	if err != nil {
		return Threshold{}, fmt.Errorf("%w %q: %w", ErrSyntax, s, err)
	}
	return Threshold{Name: m[1], Op: m[2], Value: v}, nil
}

// UnmarshalText lets a flag hold a Threshold. It fails with ErrSyntax.
func (t *Threshold) UnmarshalText(text []byte) error {
	parsed, err := Parse(string(text))
	if err != nil {
		return err
	}
	*t = parsed
	return nil
}

// String is the form that Parse reads.
func (t Threshold) String() string { return t.Name + t.Op + strconv.FormatFloat(t.Value, 'f', -1, 64) }

// Judge evaluates the threshold on a result.
func (t Threshold) Judge(r *reportv1.Result) *reportv1.Threshold {
	out := &reportv1.Threshold{Expression: t.String(), Found: "no samples"}
	v, ok := Value(r, t.Name)
	if !ok {
		return out
	}
	out.Found = strconv.FormatFloat(math.Round(v*1000)/1000, 'f', -1, 64)
	out.Passed = t.holds(v)
	return out
}

func (t Threshold) holds(v float64) bool {
	switch t.Op {
	case "==":
		return v == t.Value
	case "!=":
		return v != t.Value
	case "<":
		return v < t.Value
	case "<=":
		return v <= t.Value
	case ">":
		return v > t.Value
	default:
		return v >= t.Value
	}
}

// counts can be named in a threshold as they stand in the report.
var counts = [...]string{
	figures.DroppedCalls, figures.Unspoken, figures.Forwards, figures.MediaInterruptions, figures.SignalReconnects,
	figures.Renegotiations, figures.Migrations, figures.SetupFailures, figures.Misroutes, figures.StateLost,
	figures.ColdStarts, figures.MovedSessions, figures.Mispredicted, figures.RequestsFailed, figures.GapsOver60ms,
	figures.GapsOver1s, tally.FirstLoads, figures.ScatteredSessions,
	figures.MisroutedRequests, figures.CallsDownAtEnd,
	string(tally.DroppedNoMedia), string(tally.DroppedStateLost),
}

// GapMovedExcess is what moving added to the media gap: the p99 of the calls that moved minus the p99 of those that did not.
const GapMovedExcess = "gap_moved_excess_p99_ms"

type percentile struct {
	name      string
	histogram string
	at        float64
}

// percentiles are the figures read from histograms.
func percentiles() []percentile {
	var out []percentile
	for _, h := range []struct{ prefix, histogram string }{
		{"inference", figures.Inference}, {"inference_warm", figures.InferenceWarm}, {"inference_cold", figures.InferenceCold},
		{"setup", figures.Setup}, {"gap", figures.Gap}, {"gap_moved", figures.GapMoved}, {"gap_unmoved", figures.GapUnmoved},
		{"route", figures.Route},
	} {
		for _, p := range []struct {
			name string
			at   float64
		}{{"p50", 50}, {"p75", 75}, {"p90", 90}, {"p99", 99}, {"p99_9", 99.9}} {
			out = append(out, percentile{h.prefix + "_" + p.name + "_ms", h.histogram, p.at})
		}
	}
	return out
}

// Names lists every figure that a threshold can name.
func Names() []string {
	out := slices.Clone(counts[:])
	for _, p := range percentiles() {
		out = append(out, p.name)
	}
	return append(out, GapMovedExcess)
}

// Value is a result's figure of that name, and whether it has samples.
func Value(r *reportv1.Result, name string) (float64, bool) {
	if slices.Contains(counts[:], name) {
		n, ok := figures.Count(r, name)
		return float64(n), ok
	}
	if name == GapMovedExcess {
		moved, okMoved := figures.Percentile(r, figures.GapMoved, 99)
		unmoved, okUnmoved := figures.Percentile(r, figures.GapUnmoved, 99)
		return moved - unmoved, okMoved && okUnmoved
	}
	for _, p := range percentiles() {
		if p.name == name {
			return figures.Percentile(r, p.histogram, p.at)
		}
	}
	return 0, false
}
