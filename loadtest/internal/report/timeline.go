package report

import (
	"fmt"
	"html/template"

	"github.com/smaran-v2/smaran/loadtest/internal/figures"
	"github.com/smaran-v2/smaran/loadtest/internal/report/chart"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// timelineView is one backend's row of panels.
type timelineView struct {
	backendView
	Invalid              string
	Latency, Lanes, Gaps template.HTML
}

// gapLimits are the gaps that count, in milliseconds: heard as a click, an interruption, and a broken conversation.
func gapLimits() []float64 { return []float64{60, 200, 1000} }

// lane is one row of the middle panel.
type lane struct {
	name  string
	count func(*reportv1.TimelinePoint) uint32
}

func lanes() []lane {
	return []lane{
		{"dropped", (*reportv1.TimelinePoint).GetDropped},
		{"state lost", (*reportv1.TimelinePoint).GetStateLost},
		{"interrupted", (*reportv1.TimelinePoint).GetInterruptions},
		{"redialled", (*reportv1.TimelinePoint).GetRenegotiations},
		{"misrouted", (*reportv1.TimelinePoint).GetMisroutes},
		{"cold", (*reportv1.TimelinePoint).GetCold},
		{"failed", (*reportv1.TimelinePoint).GetFailed},
	}
}

// bounds are what all panels of a scenario share.
type bounds struct {
	duration       float64
	latLow, latTop float64
	gapLow, gapTop float64
	calls          uint64
	lane           []uint64
}

func boundsOf(drawn []*reportv1.Result) bounds {
	b := bounds{lane: make([]uint64, len(lanes()))}
	var low, high, gap float64
	for _, r := range drawn {
		b.duration = max(b.duration, r.GetDurationMs())
		for _, p := range r.GetTimeline().GetPoints() {
			if p.GetAtMs() < 0 {
				continue
			}
			b.duration = max(b.duration, p.GetAtMs()+r.GetTimeline().GetBucketMs())
			if p.GetInferenceP50Ms() > 0 && (low == 0 || p.GetInferenceP50Ms() < low) {
				low = p.GetInferenceP50Ms()
			}
			high, gap = max(high, p.GetInferenceP99Ms()), max(gap, p.GetWorstGapMs())
			b.calls = max(b.calls, uint64(p.GetCallsUp()))
			for i, l := range lanes() {
				b.lane[i] = max(b.lane[i], uint64(l.count(p)))
			}
		}
	}
	b.latLow, b.latTop = 1, 10
	if low > 0 {
		b.latLow, b.latTop = chart.LogBounds(low, high)
	}
	const frame = 20 // ms of audio in a packet: a gap below it is none
	b.gapLow, b.gapTop = chart.LogBounds(frame, max(gap, 2000))
	return b
}

func timelinesOf(groups []*figures.Group, ids *idSource) []timelineView {
	var drawn []*reportv1.Result
	for _, g := range groups {
		if len(g.Used()) > 0 && len(g.Used()[0].GetTimeline().GetPoints()) > 0 {
			drawn = append(drawn, g.Used()[0])
		}
	}
	b := boundsOf(drawn)
	var out []timelineView
	for _, g := range groups {
		if len(g.Used()) == 0 || len(g.Used()[0].GetTimeline().GetPoints()) == 0 {
			continue
		}
		r := g.Used()[0]
		axis := chart.Axis{DurationMs: b.duration}
		for _, e := range r.GetEvents() {
			axis.Marks = append(axis.Marks, chart.Mark{Name: e.GetName(), From: e.GetStartedMs(), To: e.GetFinishedMs()})
		}
		out = append(out, timelineView{
			backendView: viewOf(g), Invalid: invalidity(g),
			Latency: latencyChart(g, r, axis, b, ids), Lanes: lanesChart(g, r, axis, b, ids), Gaps: mediaChart(g, r, axis, b, ids),
		})
	}
	return out
}

func latencyChart(g *figures.Group, r *reportv1.Result, axis chart.Axis, b bounds, ids *idSource) template.HTML {
	c := chart.Latency{
		Caption: chart.Caption{ID: ids.next(), Title: nameOf(g) + ": inference latency over time"},
		Axis:    axis, BucketMs: r.GetTimeline().GetBucketMs(), FromMs: b.latLow, ToMs: b.latTop,
	}
	worst := 0.0
	for _, p := range r.GetTimeline().GetPoints() {
		if p.GetAtMs() < 0 {
			continue
		}
		worst = max(worst, p.GetInferenceP99Ms())
		c.Points = append(c.Points, chart.LatencyPoint{
			AtMs: p.GetAtMs(), P50: p.GetInferenceP50Ms(), P99: p.GetInferenceP99Ms(), Requests: answered(p),
		})
	}
	c.Description = fmt.Sprintf("p50 and p99 of each %s; the highest p99 of one is %s.", took(c.BucketMs), took(worst))
	return c.SVG()
}

// answered is the number of requests that a bucket's latency is of; 0 where it has none.
func answered(p *reportv1.TimelinePoint) uint64 {
	if p.GetInferenceP50Ms() <= 0 {
		return 0
	}
	return uint64(p.GetRequests())
}

func lanesChart(g *figures.Group, r *reportv1.Result, axis chart.Axis, b bounds, ids *idSource) template.HTML {
	c := chart.Lanes{
		Caption: chart.Caption{ID: ids.next(), Title: nameOf(g) + ": disconnects over time, each class apart"},
		Axis:    axis, BucketMs: r.GetTimeline().GetBucketMs(),
	}
	for i, l := range lanes() {
		view := chart.Lane{Name: l.name, Most: b.lane[i]}
		var total uint64
		for _, p := range r.GetTimeline().GetPoints() {
			if n := uint64(l.count(p)); n > 0 && p.GetAtMs() >= 0 {
				total += n
				view.Points = append(view.Points, chart.LanePoint{AtMs: p.GetAtMs(), Count: n})
			}
		}
		c.Description += fmt.Sprintf("%s %d. ", capital(l.name), total)
		c.Lanes = append(c.Lanes, view)
	}
	return c.SVG()
}

func mediaChart(g *figures.Group, r *reportv1.Result, axis chart.Axis, b bounds, ids *idSource) template.HTML {
	c := chart.Media{
		Caption: chart.Caption{ID: ids.next(), Title: nameOf(g) + ": worst gap in any call's audio, and calls up"},
		Axis:    axis, BucketMs: r.GetTimeline().GetBucketMs(), FromMs: b.gapLow, ToMs: b.gapTop, MostCalls: b.calls, Limits: gapLimits(),
	}
	worst := 0.0
	for _, p := range r.GetTimeline().GetPoints() {
		if p.GetAtMs() < 0 {
			continue
		}
		worst = max(worst, p.GetWorstGapMs())
		c.Points = append(c.Points, chart.MediaPoint{AtMs: p.GetAtMs(), WorstGap: p.GetWorstGapMs(), Calls: uint64(p.GetCallsUp())})
	}
	c.Description = fmt.Sprintf("The worst gap is %s; at most %s are up.", took(worst), plural(b.calls, "call"))
	return c.SVG()
}
