package chart

import (
	"html"
	"html/template"
	"strconv"
	"strings"
)

// svg builds one SVG element. Its methods escape what they are given.
type svg struct {
	b strings.Builder
}

// Caption is what a chart says to those who do not see it, and the id that it has on the page.
type Caption struct {
	// ID is unique on the page.
	ID, Title, Description string
}

// newSVG starts a drawing of that size, in CSS pixels at full size; it scales with its box.
func newSVG(width, height float64, c Caption) *svg {
	s := &svg{}
	s.open("svg", attrs{
		"viewBox", "0 0 " + num(width) + " " + num(height), "role", "img",
		"aria-labelledby", c.ID + "-t " + c.ID + "-d", "xmlns", "http://www.w3.org/2000/svg",
	})
	s.open("title", attrs{"id", c.ID + "-t"})
	s.b.WriteString(html.EscapeString(c.Title))
	s.close("title")
	s.open("desc", attrs{"id", c.ID + "-d"})
	s.b.WriteString(html.EscapeString(c.Description))
	s.close("desc")
	return s
}

// html ends the drawing.
func (s *svg) html() template.HTML {
	s.close("svg")
	return template.HTML(s.b.String()) //nolint:gosec // every attribute and text went through html.EscapeString
}

// attrs are names and values, alternating.
type attrs []string

func (s *svg) open(name string, a attrs) {
	s.tag(name, a)
	s.b.WriteByte('>')
}

func (s *svg) close(name string) {
	s.b.WriteString("</" + name + ">")
}

func (s *svg) tag(name string, a attrs) {
	s.b.WriteString("<" + name)
	for i := 0; i+1 < len(a); i += 2 {
		s.b.WriteString(" " + a[i] + `="` + html.EscapeString(a[i+1]) + `"`)
	}
}

// shape writes an element that holds at most a tip, which is shown when it is pointed at.
func (s *svg) shape(name, tip string, a attrs) {
	s.tag(name, a)
	if tip == "" {
		s.b.WriteString("/>")
		return
	}
	s.b.WriteString("><title>" + html.EscapeString(tip) + "</title></" + name + ">")
}

func (s *svg) rect(class string, x, y, width, height float64, tip string, more ...string) {
	s.shape("rect", tip, append(attrs{
		"class", class, "x", num(x), "y", num(y), "width", num(max(width, 0)), "height", num(max(height, 0)),
	}, more...))
}

func (s *svg) line(class string, x1, y1, x2, y2 float64) {
	s.shape("line", "", attrs{"class", class, "x1", num(x1), "y1", num(y1), "x2", num(x2), "y2", num(y2)})
}

func (s *svg) path(class, d string) {
	s.shape("path", "", attrs{"class", class, "d", d})
}

// text writes s at a baseline; anchor is start, middle or end.
func (s *svg) text(class, anchor string, x, y float64, text string) {
	s.open("text", attrs{"class", class, "x", num(x), "y", num(y), "text-anchor", anchor})
	s.b.WriteString(html.EscapeString(text))
	s.close("text")
}

// num formats a coordinate to a tenth of a pixel.
func num(v float64) string {
	t := strconv.FormatFloat(v, 'f', 1, 64)
	t = strings.TrimSuffix(t, ".0")
	if t == "-0" {
		return "0"
	}
	return t
}
