package chart

import (
	"fmt"
	"strings"
)

// Size of a timeline's panel in CSS pixels; three of them fit beside one another on a page of 1280.
const (
	panelWidth  = 380.0
	panelHeight = 148.0

	plotLeft   = 44.0
	plotRight  = panelWidth - 8
	plotTop    = 30.0
	plotBottom = panelHeight - 18
)

// characterWidth is about how wide a character of a label is, which decides whether two labels collide.
const characterWidth = 5.4

// Mark is an event on a time axis, in milliseconds.
type Mark struct {
	Name string
	// From and To are when it started and when the fleet was done with it.
	From, To float64
}

// Axis is the time axis that all panels of a scenario share.
type Axis struct {
	// DurationMs is its length.
	DurationMs float64
	Marks      []Mark
}

func (a Axis) scale() scale {
	return scale{from: 0, to: a.DurationMs, start: plotLeft, end: plotRight}
}

// draw draws the time axis along x, and the events. What the panel draws later lies above it.
func (a Axis) draw(s *svg, x scale) {
	for _, t := range Ticks(a.DurationMs/1000, 6) {
		at := x.at(t * 1000)
		s.line("tick", at, plotBottom, at, plotBottom+3)
		label := num(t)
		if t == 0 {
			label = "0 s"
		}
		s.text("axis", "middle", at, plotBottom+13, label)
	}
	s.line("base", x.start, plotBottom, plotRight, plotBottom)
	rows := [2]float64{} // where each row of labels ends
	for _, m := range a.Marks {
		if m.From < 0 || m.From > a.DurationMs {
			continue // in the warm-up
		}
		from, to := x.at(m.From), x.at(max(m.To, m.From))
		if to-from > 1 {
			s.rect("during", from, plotTop, to-from, plotBottom-plotTop, "")
		}
		width := float64(len([]rune(m.Name))) * characterWidth
		start := min(from+2, plotRight-width)
		row := 0
		if start < rows[0] {
			row = 1
		}
		if row == 0 || start >= rows[1] {
			s.text("event", "start", start, 12+float64(row)*11, m.Name)
			rows[row] = start + width + 4
		}
		s.shape("line", fmt.Sprintf("%s at %s s", m.Name, num(m.From/1000)), attrs{
			"class", "eventline", "x1", num(from), "x2", num(from), "y1", num(14 + float64(row)*11), "y2", num(plotBottom),
		})
	}
}

// logAxis draws labelled grid lines at the ticks of a logarithmic scale of milliseconds.
func logAxis(s *svg, y scale) {
	for _, v := range LogTicks(y.from, y.to) {
		at := y.at(v)
		s.line("grid", plotLeft, at, plotRight, at)
		s.text("axis", "end", plotLeft-5, at+3, Millis(v))
	}
}

// polyline is a path over points; a gap (ok false) breaks it.
type polyline struct {
	b    strings.Builder
	open bool
}

func (p *polyline) to(x, y float64) {
	verb := "L"
	if !p.open {
		verb, p.open = "M", true
	}
	p.b.WriteString(verb + num(x) + " " + num(y))
}

func (p *polyline) cut() { p.open = false }

func (p *polyline) String() string { return p.b.String() }
