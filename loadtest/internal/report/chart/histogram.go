package chart

import (
	"fmt"
	"html/template"
	"math"
)

// Histogram shows how many samples fell into bins that grow with their value. Its vertical axis is logarithmic too, since
// the few long ones matter more than the many short ones.
type Histogram struct {
	Caption
	// Edges are the bins' ends in milliseconds, rising; one more than Counts. What lies outside is in the first or last bin.
	Edges  []float64
	Counts []uint64
	// Most is the top of the vertical axis, which all panels share.
	Most uint64
	// Limits are drawn and labelled.
	Limits []float64
}

const (
	histogramHeight = 132.0
	histogramTop    = 22.0
	histogramBottom = histogramHeight - 18
)

// SVG draws it.
func (c Histogram) SVG() template.HTML {
	s := newSVG(panelWidth, histogramHeight, c.Caption)
	x := scale{from: c.Edges[0], to: c.Edges[len(c.Edges)-1], start: plotLeft, end: plotRight, log: true}
	// Half a sample is the bottom, so that a single one is seen.
	y := scale{from: 0.5, to: max(float64(c.Most), 10), start: histogramBottom, end: histogramTop, log: true}
	for v := 1.0; v <= y.to; v *= 10 {
		s.line("grid", plotLeft, y.at(v), plotRight, y.at(v))
		s.text("axis", "end", plotLeft-5, y.at(v)+3, short(uint64(v)))
	}
	for i, n := range c.Counts {
		if n == 0 {
			continue
		}
		from, to := x.at(c.Edges[i]), x.at(c.Edges[i+1])
		s.rect("mark", from+0.5, y.at(float64(n)), to-from-1, histogramBottom-y.at(float64(n)),
			fmt.Sprintf("%s to %s: %d", Millis(c.Edges[i]), Millis(c.Edges[i+1]), n))
	}
	s.line("base", plotLeft, histogramBottom, plotRight, histogramBottom)
	for _, limit := range c.Limits {
		s.line("limit", x.at(limit), 13, x.at(limit), histogramBottom)
		s.text("event", "middle", x.at(limit), 10, Millis(limit))
	}
	for _, v := range []float64{20, 100, 500, 2000, 10_000} {
		if v >= x.from && v <= x.to {
			s.text("axis", "middle", min(x.at(v), plotRight-8), histogramBottom+13, Millis(v))
		}
	}
	return s.html()
}

// Bins are edges that grow by the same factor, so many to a factor of ten, from from to at least to.
func Bins(from, to float64, aDecade int) []float64 {
	var edges []float64
	for i := 0; ; i++ {
		v := from * math.Pow(10, float64(i)/float64(aDecade))
		edges = append(edges, v)
		if v >= to {
			return edges
		}
	}
}
