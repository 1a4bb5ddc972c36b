package chart

import (
	"fmt"
	"html/template"
)

// Latency is a timeline of request latency on a logarithmic axis.
type Latency struct {
	Caption
	Axis
	// BucketMs is the width of a point.
	BucketMs float64
	// FromMs and ToMs are the ends of the vertical axis, which all panels share.
	FromMs, ToMs float64
	Points       []LatencyPoint
}

// LatencyPoint is a bucket's latency. Requests 0 means that there is none.
type LatencyPoint struct {
	AtMs, P50, P99 float64
	Requests       uint64
}

// SVG draws it.
func (c Latency) SVG() template.HTML {
	s := newSVG(panelWidth, panelHeight, c.Caption)
	x := c.scale()
	y := scale{from: c.FromMs, to: c.ToMs, start: plotBottom, end: plotTop, log: true}
	logAxis(s, y)
	c.draw(s, x)
	var p50, p99 polyline
	var band []LatencyPoint
	flush := func() {
		if len(band) > 1 {
			s.path("band", area(band, x, y, c.BucketMs))
		}
		band = band[:0]
	}
	for _, p := range c.Points {
		if p.Requests == 0 {
			p50.cut()
			p99.cut()
			flush()
			continue
		}
		at := x.at(p.AtMs + c.BucketMs/2)
		p50.to(at, y.at(p.P50))
		p99.to(at, y.at(p.P99))
		band = append(band, p)
	}
	flush()
	s.path("line thin", p99.String())
	s.path("line", p50.String())
	for _, p := range c.Points {
		if p.Requests > 0 {
			s.rect("hit", x.at(p.AtMs), plotTop, x.at(p.AtMs+c.BucketMs)-x.at(p.AtMs), plotBottom-plotTop,
				fmt.Sprintf("%s s: p50 %.0f ms, p99 %.0f ms, %d requests", num(p.AtMs/1000), p.P50, p.P99, p.Requests))
		}
	}
	return s.html()
}

func area(points []LatencyPoint, x, y scale, bucket float64) string {
	var p polyline
	for _, q := range points {
		p.to(x.at(q.AtMs+bucket/2), y.at(q.P99))
	}
	for i := len(points) - 1; i >= 0; i-- {
		p.to(x.at(points[i].AtMs+bucket/2), y.at(points[i].P50))
	}
	return p.String() + "Z"
}
