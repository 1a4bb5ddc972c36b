package chart

import (
	"fmt"
	"html/template"
)

// Media shows the worst gap in the media of any call over time, on a logarithmic axis, above the number of calls that are up.
type Media struct {
	Caption
	Axis
	BucketMs float64
	// FromMs and ToMs are the ends of the vertical axis, which all panels share. MostCalls is the top of the calls' strip.
	FromMs, ToMs float64
	MostCalls    uint64
	// Limits are drawn across: gaps beyond them count.
	Limits []float64
	Points []MediaPoint
}

// MediaPoint is a bucket. WorstGap 0 means that no gap was seen.
type MediaPoint struct {
	AtMs, WorstGap float64
	Calls          uint64
}

// stripHeight is the height of the strip of calls below the gaps.
const stripHeight = 26.0

// SVG draws it.
func (c Media) SVG() template.HTML {
	s := newSVG(panelWidth, panelHeight, c.Caption)
	x := c.scale()
	y := scale{from: c.FromMs, to: c.ToMs, start: plotBottom - stripHeight - 6, end: plotTop, log: true}
	for _, limit := range c.Limits {
		if limit > c.FromMs && limit < c.ToMs {
			s.line("limit", plotLeft, y.at(limit), plotRight, y.at(limit))
			s.text("axis", "end", plotLeft-5, y.at(limit)+3, Millis(limit))
		}
	}
	calls := scale{from: 0, to: float64(max(c.MostCalls, 1)), start: plotBottom, end: plotBottom - stripHeight}
	s.line("grid", plotLeft, calls.end, plotRight, calls.end)
	s.text("axis", "end", plotLeft-5, calls.end+4, fmt.Sprint(c.MostCalls))
	s.text("axis", "end", plotLeft-5, plotBottom, "calls")
	c.draw(s, x)
	var up polyline
	for i, p := range c.Points {
		if i == 0 {
			up.to(x.at(p.AtMs), calls.at(0))
		}
		up.to(x.at(p.AtMs), calls.at(float64(p.Calls)))
		up.to(x.at(p.AtMs+c.BucketMs), calls.at(float64(p.Calls)))
		if i == len(c.Points)-1 {
			up.to(x.at(p.AtMs+c.BucketMs), calls.at(0))
		}
	}
	s.path("band strong", up.String())
	s.path("band edge", up.String())
	for _, p := range c.Points {
		at, width := x.at(p.AtMs), x.at(p.AtMs+c.BucketMs)-x.at(p.AtMs)
		tip := fmt.Sprintf("%s s: %d calls up, worst gap %.0f ms", num(p.AtMs/1000), p.Calls, p.WorstGap)
		if p.WorstGap > c.FromMs {
			top := y.at(p.WorstGap)
			s.rect("mark soft", at+0.4, top, max(width-0.8, 1), y.start-top, "")
			s.rect("mark", at+0.4, top, max(width-0.8, 1), 1.8, "")
		}
		s.rect("hit", at, plotTop, width, plotBottom-plotTop, tip)
	}
	s.line("base", plotLeft, y.start, plotRight, y.start)
	return s.html()
}
