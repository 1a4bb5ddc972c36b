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
	Baseline string
	// How says what the second line of a cell is.
	How     string
	Metrics []string
	Rows    []differenceRow
}

type differenceRow struct {
	backendView
	Cells []differenceCell
}

type differenceCell struct {
	Main, Sub string
	// Strong is whether an interval of enough pairs leaves out 0.
	Strong, Absent bool
}

// strongRepeats is the number of pairs from which an interval is one at 95%. The lowest and the highest of n pairs hold the
// median with a confidence of 1-2^(1-n), which is 94% for five and 97% for six; resampling fewer than six gives no more than just
// these two, whatever confidence it was asked for.
const strongRepeats = 6

// differencesOf is empty where no difference was taken: without a baseline, or without repeats.
func differencesOf(scenario string, comparisons []*reportv1.Comparison) differencesView {
	v := differencesView{}
	var few []uint32
	intervals := ""
	rows := map[string]int{}
	for _, c := range comparisons {
		if c.GetScenario() != scenario || c.GetDifference() == nil || c.GetPairs() < 2 {
			continue
		}
		v.Baseline = c.GetBaseline()
		if c.GetPairs() >= strongRepeats {
			intervals = fmt.Sprintf("Below it is its bootstrap interval (%.0f%%), strong where that leaves out 0.", 100*c.GetDifference().GetConfidence())
		} else if !slices.Contains(few, c.GetPairs()) {
			few = append(few, c.GetPairs())
		}
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
		cells[column] = differenceCellOf(c)
		v.Rows[row].Cells = cells
	}
	for i := range v.Rows {
		for len(v.Rows[i].Cells) < len(v.Metrics) {
			v.Rows[i].Cells = append(v.Rows[i].Cells, differenceCell{Main: absent, Absent: true})
		}
	}
	v.How = intervals
	slices.Sort(few)
	for _, pairs := range few {
		v.How = strings.TrimSpace(v.How + fmt.Sprintf(" A range of %d runs is from the lowest to the highest of them, which holds the median with a confidence of %.0f%%: "+
			"too little to call a difference strong.", pairs, 100*rangeConfidence(pairs)))
	}
	return v
}

// rangeConfidence is the confidence with which the lowest and the highest of n values hold the median: all n lie on the same side
// of it with a chance of 2·2^-n.
func rangeConfidence(n uint32) float64 { return 1 - math.Exp2(1-float64(n)) }

func differenceCellOf(c *reportv1.Comparison) differenceCell {
	i := c.GetDifference()
	out := differenceCell{
		Main: signed(i.GetEstimate()),
		Sub:  signed(i.GetLow()) + " to " + signed(i.GetHigh()),
	}
	if c.GetPairs() < strongRepeats {
		out.Sub += fmt.Sprintf(", range of %d runs", c.GetPairs())
	} else {
		out.Strong = i.GetLow() > 0 || i.GetHigh() < 0
	}
	return out
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
