package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// differencesView sets each backend beside the baseline, with intervals.
type differencesView struct {
	Baseline, Confidence, Weak string
	Metrics                    []string
	Rows                       []differenceRow
}

type differenceRow struct {
	backendView
	Cells []differenceCell
}

type differenceCell struct {
	Main, Sub string
	// Strong is whether the interval leaves out 0.
	Strong, Absent bool
}

// strongRepeats is the number of pairs from which a bootstrap interval says something: of fewer it can only be as wide as
// what was seen.
const strongRepeats = 5

// differencesOf is empty where no difference was taken: without a baseline, or without repeats.
func differencesOf(scenario string, comparisons []*reportv1.Comparison) differencesView {
	v := differencesView{}
	fewest := uint32(math.MaxUint32)
	rows := map[string]int{}
	for _, c := range comparisons {
		if c.GetScenario() != scenario || c.GetDifference() == nil || c.GetPairs() < 2 {
			continue
		}
		v.Baseline = c.GetBaseline()
		v.Confidence = fmt.Sprintf("%.0f%%", 100*c.GetDifference().GetConfidence())
		fewest = min(fewest, c.GetPairs())
		name := metricName(c.GetMetric())
		column := slices.Index(v.Metrics, name)
		if column < 0 {
			column = len(v.Metrics)
			v.Metrics = append(v.Metrics, name)
		}
		row, ok := rows[c.GetBackend()]
		if !ok {
			row = len(v.Rows)
			rows[c.GetBackend()] = row
			v.Rows = append(v.Rows, differenceRow{
				backendView: backendView{Name: c.GetBackend(), Key: c.GetBackend(), Color: colorOf(c.GetBackend())},
			})
		}
		cells := v.Rows[row].Cells
		for len(cells) <= column {
			cells = append(cells, differenceCell{Main: absent, Absent: true})
		}
		cells[column] = differenceCellOf(c.GetDifference())
		v.Rows[row].Cells = cells
	}
	for i := range v.Rows {
		for len(v.Rows[i].Cells) < len(v.Metrics) {
			v.Rows[i].Cells = append(v.Rows[i].Cells, differenceCell{Main: absent, Absent: true})
		}
	}
	if len(v.Rows) > 0 && fewest < strongRepeats {
		v.Weak = fmt.Sprintf("With %d repeats an interval is only as wide as what was seen; take %d or more to trust it.", fewest, strongRepeats)
	}
	return v
}

func differenceCellOf(i *reportv1.Interval) differenceCell {
	return differenceCell{
		Main:   signed(i.GetEstimate()),
		Sub:    signed(i.GetLow()) + " to " + signed(i.GetHigh()),
		Strong: i.GetLow() > 0 || i.GetHigh() < 0,
	}
}

// signed formats a difference: +12, −0.4, 0.
func signed(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v < 0:
		return "−" + millis(-v)
	default:
		return "+" + millis(v)
	}
}

// metricName is a threshold's name for people: inference_p99_ms becomes Inference p99, ms.
func metricName(metric string) string {
	name, isTime := strings.CutSuffix(metric, "_ms")
	name = capital(className(name))
	if isTime {
		name += ", ms"
	}
	return name
}
