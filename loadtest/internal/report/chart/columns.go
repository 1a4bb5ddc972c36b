package chart

import (
	"fmt"
	"html/template"
)

// Columns compares a load over pods.
type Columns struct {
	Caption
	// Unit names what is counted, in the plural.
	Unit    string
	Columns []Column
	// Pods is the number of pods that the mean is over; those without a column had nothing.
	Pods int
	// Most is the top of the vertical axis, which all panels share.
	Most uint64
}

// Column is one pod.
type Column struct {
	Name, Detail string
	Count        uint64
}

// SVG draws it, with a line at the mean.
func (c Columns) SVG() template.HTML {
	s := newSVG(panelWidth, histogramHeight, c.Caption)
	y := scale{from: 0, to: float64(max(c.Most, 1)), start: histogramBottom, end: histogramTop}
	for _, v := range Ticks(y.to, 3) {
		s.line("grid", plotLeft, y.at(v), plotRight, y.at(v))
		s.text("axis", "end", plotLeft-5, y.at(v)+3, short(uint64(v)))
	}
	var sum uint64
	step := (plotRight - plotLeft) / float64(max(len(c.Columns), 1))
	width := min(step*0.72, 34)
	for i, col := range c.Columns {
		sum += col.Count
		middle := plotLeft + (float64(i)+0.5)*step
		top := y.at(float64(col.Count))
		s.rect("mark", middle-width/2, top, width, max(histogramBottom-top, 0.8),
			fmt.Sprintf("%s: %d %s%s", col.Name, col.Count, c.Unit, col.Detail))
		if len(c.Columns) <= 16 || i%5 == 0 {
			s.text("axis", "middle", middle, histogramBottom+13, lastPart(col.Name))
		}
	}
	s.line("base", plotLeft, histogramBottom, plotRight, histogramBottom)
	if c.Pods > 0 {
		mean := float64(sum) / float64(c.Pods)
		s.line("mean", plotLeft, y.at(mean), plotRight, y.at(mean))
		s.text("event", "end", plotRight, y.at(mean)-4, fmt.Sprintf("mean %.0f", mean))
	}
	return s.html()
}

// lastPart is what follows the last dash: the number of a pod.
func lastPart(name string) string {
	for i := len(name) - 1; i >= 0; i-- {
		if name[i] == '-' {
			return name[i:][1:]
		}
	}
	return name
}
