package chart_test

import (
	"encoding/xml"
	"errors"
	"html/template"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/smaran-v2/smaran/loadtest/internal/report/chart"
)

func TestLogBoundsHoldTheirRange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		low := rapid.Float64Range(0.001, 1e6).Draw(t, "low")
		high := low * rapid.Float64Range(1, 1e6).Draw(t, "factor")
		from, to := chart.LogBounds(low, high)
		require.LessOrEqual(t, from, low*1.0001)
		require.GreaterOrEqual(t, to*1.0001, high)
		require.Less(t, from, to)
		require.Less(t, low/from, 10.01, "no more than a decade is wasted")
		ticks := chart.LogTicks(from, to)
		require.NotEmpty(t, ticks)
		for _, v := range ticks {
			require.InDelta(t, 0.5, chart.LogShare(v, from, to), 0.5001)
		}
	})
}

func TestLogBounds(t *testing.T) {
	from, to := chart.LogBounds(98, 870)
	require.InDelta(t, 50, from, 0.001)
	require.InDelta(t, 1000, to, 0.001)
	from, to = chart.LogBounds(100, 100)
	require.InDelta(t, 100, from, 0.001)
	require.Greater(t, to, from)
}

func TestTicks(t *testing.T) {
	require.Equal(t, []float64{0, 5, 10, 15, 20}, chart.Ticks(20, 6))
	require.Equal(t, []float64{0, 0.5, 1, 1.5, 2}, chart.Ticks(2, 4))
	require.Equal(t, []float64{0}, chart.Ticks(0, 4))
	require.Equal(t, []float64{10, 20, 50, 100}, chart.LogTicks(10, 100))
	require.Equal(t, []float64{1, 10, 100, 1000, 10_000}, chart.LogTicks(1, 10_000))
}

func TestBinsGrowByTheSameFactor(t *testing.T) {
	edges := chart.Bins(20, 10_000, 10)
	require.Equal(t, 20.0, edges[0])
	require.GreaterOrEqual(t, edges[len(edges)-1], 10_000.0)
	for i := 1; i < len(edges); i++ {
		require.InDelta(t, 1.2589, edges[i]/edges[i-1], 0.001)
	}
}

func TestMillis(t *testing.T) {
	require.Equal(t, "50 ms", chart.Millis(50))
	require.Equal(t, "2 s", chart.Millis(2000))
	require.Equal(t, "1.5 s", chart.Millis(1500))
}

// nasty is what a name from outside may hold.
const nasty = `<script>alert("1")</script>&'`

func TestChartsAreWellFormedAndEscaped(t *testing.T) {
	caption := chart.Caption{ID: "c1", Title: nasty, Description: nasty}
	axis := chart.Axis{DurationMs: 20_000, Marks: []chart.Mark{
		{Name: nasty, From: 4000, To: 4600}, {Name: "kill", From: 4100, To: 4100}, {Name: "third", From: 4200}, {Name: "warm-up", From: -5},
	}}
	for name, svg := range map[string]template.HTML{
		"latency": chart.Latency{Caption: caption, Axis: axis, BucketMs: 500, FromMs: 50, ToMs: 1000, Points: []chart.LatencyPoint{
			{AtMs: 0, P50: 98, P99: 120, Requests: 60}, {AtMs: 500}, {AtMs: 1000, P50: 99, P99: 5000, Requests: 1}, {AtMs: 1500, P50: 99, P99: 100, Requests: 1},
		}}.SVG(),
		"lanes": chart.Lanes{Caption: caption, Axis: axis, BucketMs: 500, Lanes: []chart.Lane{
			{Name: nasty, Most: 4, Points: []chart.LanePoint{{AtMs: 500, Count: 4}, {AtMs: 1000}}}, {Name: "none"},
		}}.SVG(),
		"media": chart.Media{Caption: caption, Axis: axis, BucketMs: 500, FromMs: 20, ToMs: 2000, MostCalls: 24, Limits: []float64{60, 200},
			Points: []chart.MediaPoint{{AtMs: 0, WorstGap: 25, Calls: 24}, {AtMs: 500, WorstGap: 9000, Calls: 20}}}.SVG(),
		"histogram": chart.Histogram{Caption: caption, Edges: []float64{20, 50, 100}, Counts: []uint64{3, 0}, Most: 3, Limits: []float64{60}}.SVG(),
		"columns": chart.Columns{Caption: caption, Unit: "requests", Most: 9, Pods: 3, Columns: []chart.Column{
			{Name: nasty, Count: 9}, {Name: "jarvis-2"},
		}}.SVG(),
		"nothing": chart.Columns{Caption: caption}.SVG(),
	} {
		t.Run(name, func(t *testing.T) {
			elements := wellFormed(t, string(svg))
			require.Equal(t, 1, elements["svg"])
			require.Positive(t, elements["title"])
			require.Equal(t, 1, elements["desc"])
			require.Zero(t, elements["script"])
			require.NotContains(t, svg, "<script")
			require.Contains(t, svg, `aria-labelledby="c1-t c1-d"`)
			require.NotContains(t, svg, "NaN")
			require.NotContains(t, svg, "Inf")
		})
	}
}

func TestABucketWithoutRequestsBreaksTheLine(t *testing.T) {
	c := chart.Latency{Axis: chart.Axis{DurationMs: 3000}, BucketMs: 1000, FromMs: 10, ToMs: 1000, Points: []chart.LatencyPoint{
		{AtMs: 0, P50: 100, P99: 100, Requests: 1}, {AtMs: 1000}, {AtMs: 2000, P50: 100, P99: 100, Requests: 1},
	}}
	_, d, found := strings.Cut(string(c.SVG()), `class="line" d="`)
	require.True(t, found)
	d, _, _ = strings.Cut(d, `"`)
	require.Equal(t, 2, strings.Count(d, "M"), d)
	require.Zero(t, strings.Count(d, "L"), d)
}

// wellFormed counts the elements by name.
func wellFormed(t *testing.T, s string) map[string]int {
	t.Helper()
	elements := map[string]int{}
	d := xml.NewDecoder(strings.NewReader(s))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return elements
		}
		require.NoError(t, err)
		if start, ok := token.(xml.StartElement); ok {
			elements[start.Name.Local]++
		}
	}
}
