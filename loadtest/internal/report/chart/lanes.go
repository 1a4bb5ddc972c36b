package chart

import (
	"fmt"
	"html/template"
	"math"
)

// Lanes shows several kinds of trouble over time, each in a lane of its own, so that none hides another.
type Lanes struct {
	Caption
	Axis
	BucketMs float64
	Lanes    []Lane
}

// Lane is one kind.
type Lane struct {
	Name string
	// Most is the largest count of a bucket in this lane over all panels that share it; it is drawn the strongest.
	Most   uint64
	Points []LanePoint
}

// LanePoint is a bucket's count.
type LanePoint struct {
	AtMs  float64
	Count uint64
}

const laneLeft = 92.0

// SVG draws it.
func (c Lanes) SVG() template.HTML {
	s := newSVG(panelWidth, panelHeight, c.Caption)
	x := c.scale()
	x.start = laneLeft // names are longer than figures
	c.draw(s, x)
	height := (plotBottom - plotTop) / float64(max(len(c.Lanes), 1))
	for i, lane := range c.Lanes {
		top := plotTop + float64(i)*height
		var total uint64
		for _, p := range lane.Points {
			total += p.Count
		}
		class := "lane"
		if total == 0 {
			class = "lane none"
		}
		s.text(class, "end", laneLeft-32, top+height/2+3.5, lane.Name)
		s.text(class+" total", "end", laneLeft-5, top+height/2+3.5, short(total))
		s.line("grid", laneLeft, top+height-0.5, plotRight, top+height-0.5)
		for _, p := range lane.Points {
			if p.Count == 0 {
				continue
			}
			width := max(x.at(p.AtMs+c.BucketMs)-x.at(p.AtMs)-0.6, 1.6)
			s.rect("mark", x.at(p.AtMs), top+2, width, height-4,
				fmt.Sprintf("%s s: %s %d", num(p.AtMs/1000), lane.Name, p.Count),
				"fill-opacity", num2(0.35+0.65*math.Sqrt(float64(p.Count)/float64(max(lane.Most, p.Count)))))
		}
	}
	return s.html()
}

// short shortens a count to four characters: 12, 1.2k, 34k.
func short(n uint64) string {
	switch {
	case n < 1000:
		return fmt.Sprint(n)
	case n < 10_000:
		return num(float64(n)/1000) + "k"
	default:
		return fmt.Sprintf("%dk", n/1000)
	}
}

func num2(v float64) string { return fmt.Sprintf("%.2f", v) }
