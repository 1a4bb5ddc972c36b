package report_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/smaran-v2/smaran/loadtest/internal/claims"
	"github.com/smaran-v2/smaran/loadtest/internal/figures"
	"github.com/smaran-v2/smaran/loadtest/internal/report"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// page is a parsed HTML report.
type page struct {
	root *html.Node
	text string // all that is shown
	raw  string
}

func render(t *testing.T, reports ...*reportv1.Report) page {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, report.WriteHTML(&b, reports...))
	balanced(t, b.String())
	root, err := html.Parse(bytes.NewReader(b.Bytes()))
	require.NoError(t, err)
	p := page{root: root, raw: b.String()}
	var text strings.Builder
	p.each(func(n *html.Node) {
		if n.Type == html.TextNode && n.Parent.Data != "script" && n.Parent.Data != "style" {
			text.WriteString(n.Data + " ")
		}
	})
	p.text = strings.Join(strings.Fields(text.String()), " ")
	return p
}

// says checks that a text is shown. The page is too long to be printed where it is not.
func (p page) says(t *testing.T, want string) {
	t.Helper()
	require.True(t, strings.Contains(p.text, want), "the page does not say %q", want)
}

func (p page) saysNot(t *testing.T, what string) {
	t.Helper()
	require.False(t, strings.Contains(p.text, what), "the page says %q", what)
}

func (p page) each(visit func(*html.Node)) {
	for n := range p.root.Descendants() {
		visit(n)
	}
}

// find returns the elements of that name which have the attribute's value, or any where it is empty.
func (p page) find(name, attribute, value string) (out []*html.Node) {
	p.each(func(n *html.Node) {
		if n.Type == html.ElementNode && n.Data == name && (attribute == "" || attr(n, attribute) == value) {
			out = append(out, n)
		}
	})
	return out
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// balanced checks that every element that is opened is closed in order, which a lenient parser would mend in silence.
func balanced(t *testing.T, s string) {
	t.Helper()
	void := []string{"meta", "input", "br", "link"}
	var open []string
	z := html.NewTokenizer(strings.NewReader(s))
	for {
		switch z.Next() {
		case html.ErrorToken:
			require.ErrorIs(t, z.Err(), io.EOF)
			require.Empty(t, open)
			return
		case html.StartTagToken:
			name, _ := z.TagName()
			if !slices.Contains(void, string(name)) {
				open = append(open, string(name))
			}
		case html.EndTagToken:
			name, _ := z.TagName()
			require.NotEmpty(t, open, string(name))
			require.Equal(t, open[len(open)-1], string(name))
			open = open[:len(open)-1]
		}
	}
}

func TestThePageLoadsNothing(t *testing.T) {
	for _, r := range []*reportv1.Report{syntheticDemo(), syntheticCompare()} {
		p := render(t, r)
		p.each(func(n *html.Node) {
			if n.Type != html.ElementNode {
				return
			}
			require.NotContains(t, []string{"link", "img", "iframe", "object", "embed", "base", "form"}, n.Data)
			for _, a := range n.Attr {
				switch a.Key {
				case "src", "srcset", "data", "action", "ping":
					require.Fail(t, "an element that loads", "%s %s=%q", n.Data, a.Key, a.Val)
				case "href":
					require.True(t, strings.HasPrefix(a.Val, "#"), a.Val)
				default:
					require.False(t, strings.HasPrefix(a.Key, "on"), "%s has an inline handler", n.Data)
				}
			}
		})
		require.False(t, regexp.MustCompile(`url\(|@import|@font-face`).MatchString(p.raw))
		// The only address is the name of SVG's namespace, which nothing fetches.
		require.Equal(t, strings.Count(p.raw, "http://www.w3.org/2000/svg"), strings.Count(p.raw, "://"))
	}
}

func TestThePolicyAllowsItsOwnScriptOnly(t *testing.T) {
	p := render(t, syntheticDemo())
	scripts := p.find("script", "", "")
	require.Len(t, scripts, 1)
	sum := sha256.Sum256([]byte(scripts[0].FirstChild.Data))
	policy := p.find("meta", "http-equiv", "Content-Security-Policy")
	require.Len(t, policy, 1)
	require.Contains(t, attr(policy[0], "content"), "default-src 'none'")
	require.Contains(t, attr(policy[0], "content"), "script-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
}

func TestThePageShowsEveryBackendAndEvent(t *testing.T) {
	r := syntheticDemo()
	p := render(t, r)
	for _, result := range r.GetResults() {
		p.says(t, result.GetBackend())
		require.NotEmpty(t, p.find("article", "data-backend", result.GetBackend()), "a timeline of %s", result.GetBackend())
		for _, e := range result.GetEvents() {
			p.says(t, "Event "+e.GetName()+" by itself")
		}
	}
	panels := len(p.find("svg", "", ""))
	require.Equal(t, len(r.GetResults())*(3+1+1), panels, "three timelines, a histogram and the pods for each backend")
	for _, line := range p.find("line", "class", "eventline") {
		require.NotNil(t, line.FirstChild, "an event says its name")
	}
	for _, fact := range []string{"made up, not measured", "v4.2.20", "a made-up processor", "report.v1.1"} {
		p.says(t, fact)
	}
}

func TestAllClaimsAreListed(t *testing.T) {
	for name, r := range map[string]*reportv1.Report{"with": syntheticDemo(), "without any": {SchemaVersion: report.SchemaVersion}} {
		p := render(t, r)
		rows := 0
		p.each(func(n *html.Node) {
			if n.Type == html.ElementNode && n.Data == "tr" && attr(n, "data-verdict") != "" {
				rows++
			}
		})
		require.Equal(t, claims.Count, rows, name)
		p.says(t, "bin/loadtest claims --only 3")
	}
}

func TestIDsAreUniqueAndReferencesResolve(t *testing.T) {
	p := render(t, syntheticCompare())
	ids := map[string]bool{}
	p.each(func(n *html.Node) {
		if id := attr(n, "id"); id != "" {
			require.False(t, ids[id], "id %q twice", id)
			ids[id] = true
		}
	})
	p.each(func(n *html.Node) {
		for id := range strings.FieldsSeq(attr(n, "aria-labelledby")) {
			require.True(t, ids[id], id)
		}
		if to, ok := strings.CutPrefix(attr(n, "href"), "#"); ok {
			require.True(t, ids[to], to)
		}
	})
	for _, table := range p.find("table", "", "") {
		first := table.FirstChild
		for first.Type != html.ElementNode {
			first = first.NextSibling
		}
		require.Equal(t, "caption", first.Data, "every table has a caption")
	}
}

func TestWhatComesFromOutsideIsEscaped(t *testing.T) {
	const nasty = `</title><script>alert(1)</script><img src=x onerror=alert(1)>"'`
	r := syntheticDemo()
	r.Run.Id, r.Run.Command, r.Run.Label = nasty, nasty, nasty
	r.Run.Versions[nasty] = nasty
	r.Run.Machine.CpuModel = nasty
	for _, result := range r.Results {
		result.Scenario = nasty
		result.Errors = map[string]uint64{nasty: 3}
		result.Settings[nasty] = nasty
		for _, p := range result.GetPods() {
			p.Pod += nasty
		}
		for _, e := range result.GetEvents() {
			e.Name, e.Error = nasty, nasty
		}
	}
	r.Results[0].Backend = nasty
	r.Results[1].Valid, r.Results[1].InvalidReasons = false, []string{nasty}
	r.Results[2].Thresholds = []*reportv1.Threshold{{Expression: nasty, Found: nasty}}
	r.Claims[0].Measured, r.Claims[0].Note = nasty, nasty
	p := render(t, r)
	require.Len(t, p.find("script", "", ""), 1)
	require.Empty(t, p.find("img", "", ""))
	require.False(t, strings.Contains(p.raw, "<script>alert"))
	p.says(t, "alert(1)")
}

func TestAnInvalidRunIsShownApart(t *testing.T) {
	r := syntheticDemo()
	bad := r.Results[4]
	bad.Valid, bad.InvalidReasons = false, []string{"the generator fell behind"}
	bad.Counts[figures.DroppedCalls] = 1_000_000 // would be the worst by far
	p := render(t, r)
	p.says(t, "✗ not valid")
	p.says(t, "the generator fell behind")
	h1 := p.find("h1", "", "")
	require.Len(t, h1, 1)
	for _, row := range p.find("tr", "data-backend", bad.GetBackend()) {
		for cell := range row.ChildNodes() {
			require.NotContains(t, attr(cell, "style"), "--heat", "an invalid run is not ranked")
		}
	}
	for n := range h1[0].Descendants() {
		require.NotContains(t, n.Data, "1,000,000")
	}
	var heated int
	for _, cell := range p.find("td", "", "") {
		if strings.Contains(attr(cell, "style"), "--heat") {
			heated++
		}
	}
	require.Positive(t, heated, "the others are")
}

func TestWithoutAValidRunNothingIsCompared(t *testing.T) {
	r := syntheticDemo()
	for _, result := range r.Results {
		result.Valid = false
	}
	render(t, r).says(t, "No run is valid, so nothing here may be compared.")
}

func TestTheHeadlineNeedsMoreThanChance(t *testing.T) {
	pair := func(a, b uint64) page {
		r := &reportv1.Report{}
		for backend, n := range map[string]uint64{"roundrobin": a, "redis": b} {
			r.Results = append(r.Results, &reportv1.Result{
				Backend: backend, Scenario: "x", Valid: true, Counts: map[string]uint64{figures.DroppedCalls: n},
				Denominators: &reportv1.Denominators{CallMinutes: 10, CallsPlaced: 24},
			})
		}
		return render(t, r)
	}
	pair(20, 1).says(t, "roundrobin dropped 20 of 24 calls; redis 1 of 24 calls.")
	pair(20, 0).says(t, "roundrobin dropped 20 of 24 calls; redis none.")
	pair(2, 1).says(t, "do not differ by more than chance")
}

func TestOverlay(t *testing.T) {
	a, b := syntheticDemo(), syntheticDemo()
	a.Run.Label, b.Run.Label = "before", "after"
	b.Claims = []*reportv1.Claim{{Number: 3, Text: "x", Verdict: reportv1.Verdict_VERDICT_DEPENDS, Measured: "0.2 ms to Redis"}}
	p := render(t, a, b)
	for _, want := range []string{"istio-hash (before)", "istio-hash (after)", "0.2 ms to Redis", "before · after"} {
		p.says(t, want)
	}
	require.Len(t, p.find("article", "data-backend", "istio-hash"), 2)
}

func TestDifferencesToTheBaseline(t *testing.T) {
	r := syntheticCompare()
	r.Comparisons = []*reportv1.Comparison{
		{Scenario: "kill", Backend: "redis", Baseline: "istio-hash", Metric: "dropped_calls", Pairs: 2,
			Difference: &reportv1.Interval{Estimate: -3, Low: -5, High: -1, Confidence: 0.95}},
		{Scenario: "kill", Backend: "app-hash", Baseline: "istio-hash", Metric: "inference_p99_ms", Pairs: 6,
			Difference: &reportv1.Interval{Estimate: 12, Low: 4, High: 30, Confidence: 0.95}},
		{Scenario: "kill", Backend: "roundrobin", Baseline: "istio-hash", Metric: "dropped_calls", Pairs: 1,
			Difference: &reportv1.Interval{Estimate: 77}},
	}
	p := render(t, r)
	for _, want := range []string{"Beside istio-hash", "−3.0", "−5.0 to −1.0, range of 2 runs", "confidence of 50%",
		"Inference p99, ms", "bootstrap interval (95%)"} {
		p.says(t, want)
	}
	p.saysNot(t, "+77") // one pair has no interval
	require.True(t, strings.Contains(p.raw, `<td class="fig zero"><b>−3.0`), "of two runs nothing is strong")
	require.True(t, strings.Contains(p.raw, `<td class="fig"><b>&#43;12`), "six runs can be")

	r.Comparisons = r.Comparisons[:1]
	render(t, r).saysNot(t, "bootstrap interval")
	require.Equal(t, 1, strings.Count(p.text, "Beside istio-hash"), "only where there are differences")
}

func TestAnInterruptedRunSaysSo(t *testing.T) {
	r := syntheticDemo()
	render(t, r).saysNot(t, "measured until then")
	r.Run.Interrupted = true
	render(t, r).says(t, "demo-synthetic was interrupted: what is here was measured until then.")
}
