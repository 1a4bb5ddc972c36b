package report_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/figures"
	"github.com/smaran-v2/smaran/loadtest/internal/report"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares with a file in testdata. All of them show synthetic reports: no figure in them was measured.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(string(want), got), "go test ./internal/report -update writes it anew")
}

// fits checks that no line is wider, apart from the sentences below a table.
func fits(t *testing.T, width int, s string) {
	t.Helper()
	for line := range strings.Lines(s) {
		if strings.HasPrefix(line, "*") || strings.HasPrefix(line, "✗") && strings.Contains(line, "repeat") ||
			strings.HasPrefix(line, "Counts are") || strings.HasPrefix(line, "Pods that") {
			continue
		}
		require.LessOrEqual(t, utf8.RuneCountInString(strings.TrimRight(line, "\n")), width, line)
	}
}

func TestTables(t *testing.T) {
	demo, compare := syntheticDemo(), syntheticCompare()
	for name, c := range map[string]struct {
		width  int
		report *reportv1.Report
	}{
		"synthetic-demo-140.txt":    {140, demo},
		"synthetic-demo-100.txt":    {100, demo},
		"synthetic-compare-140.txt": {140, compare},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			require.NoError(t, report.Tables(&out, c.width, c.report))
			golden(t, name, out.String())
			fits(t, c.width, out.String())
			for _, r := range c.report.GetResults() {
				require.Contains(t, out.String(), r.GetBackend())
			}
		})
	}
}

// The rows of a backend stand together, also where it was not in every report.
func TestMarkdown(t *testing.T) {
	a, b := syntheticCompare(), syntheticCompare()
	a.Run.Label, b.Run.Label = "here", "there"
	b.Results = slices.DeleteFunc(b.GetResults(), func(r *reportv1.Result) bool { return r.GetBackend() == a.GetResults()[0].GetBackend() })
	var out bytes.Buffer
	require.NoError(t, report.Markdown(&out, a, b))
	golden(t, "synthetic-compare.md", out.String())
}

// What Tables says below a table is said here too: a mark without its meaning misleads.
func TestMarkdownSaysWhatItsMarksMean(t *testing.T) {
	r := syntheticCompare()
	first := r.GetResults()[0]
	first.Counts[figures.CallsDownAtEnd] = 3
	r.GetResults()[len(syntheticBackends)].Counts[figures.CallsDownAtEnd] = 0 // of its second repeat
	first.Histograms[figures.Inference].Count = 99
	var markdown, tables bytes.Buffer
	require.NoError(t, report.Markdown(&markdown, r))
	require.NoError(t, report.Table(&tables, r))
	for _, said := range []string{
		"* in brackets: per 1,000 call-minutes", "Counts are summed over the valid repeats", "† the largest sample",
		"Calls that were down when the run ended", "Pods that got no requests: redis-plain 7 of 10", "✗ redis, repeat 2, is not valid",
	} {
		require.Contains(t, tables.String(), "\n"+said)
		require.Contains(t, markdown.String(), "\n- "+strings.ReplaceAll(said, "*", `\*`))
	}
	require.Contains(t, markdown.String(), `| calls dropped\* |`)
}

func TestEventTables(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, report.EventTables(&out, 140, syntheticDemo()))
	golden(t, "synthetic-events-140.txt", out.String())
	fits(t, 140, out.String())
}

func TestClaimsTable(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, report.ClaimsTable(&out, 140, syntheticDemo().GetClaims()))
	golden(t, "synthetic-claims-140.txt", out.String())
}

func TestWhatWasNotMeasuredIsNotZero(t *testing.T) {
	r := &reportv1.Report{Results: []*reportv1.Result{{Backend: "redis", Scenario: "x", Valid: true, Counts: map[string]uint64{figures.Misroutes: 0}}}}
	var out bytes.Buffer
	require.NoError(t, report.Table(&out, r))
	row := rowOf(t, out.String(), "redis")
	require.Equal(t, []string{"redis", "–", "0", "–", "–", "–", "–", "–", "–", "–/–", "–", "–", "–", "1/1"}, strings.Fields(row))
}

func TestAScenarioThatWasNotRunIsNotBlank(t *testing.T) {
	run := func(backend, scenario string) *reportv1.Result {
		return &reportv1.Result{Backend: backend, Scenario: scenario, Valid: true, Counts: map[string]uint64{figures.Misroutes: 7}}
	}
	r := &reportv1.Report{Results: []*reportv1.Result{run("redis", "kill"), run("redis", "steady"), run("handoff", "steady")}}
	var out, markdown bytes.Buffer
	require.NoError(t, report.Table(&out, r))
	require.Equal(t, []string{"handoff", "–", "–", "·", "–"}, strings.Fields(rowOf(t, out.String(), "handoff")), "not run, and not counted")
	require.NoError(t, report.Markdown(&markdown, r))
	require.Contains(t, markdown.String(), "| handoff | – | 7 |")
}

func TestAnInvalidRunIsMarkedAndSaysWhy(t *testing.T) {
	r := syntheticDemo()
	r.Results[2].Valid, r.Results[2].InvalidReasons = false, []string{"the generator fell behind"}
	var out bytes.Buffer
	require.NoError(t, report.Table(&out, r))
	require.Contains(t, rowOf(t, out.String(), "✗ redis"), "0/1")
	require.Contains(t, out.String(), "✗ redis, repeat 1, is not valid and not compared: the generator fell behind")
}

func TestAPercentileThatIsOnlyTheLargestSampleIsMarked(t *testing.T) {
	with := func(samples uint64) *reportv1.Report {
		return &reportv1.Report{Results: []*reportv1.Result{{
			Backend: "redis", Scenario: "x", Valid: true,
			Histograms: map[string]*reportv1.Histogram{figures.Inference: {Count: samples, Percentiles: []*reportv1.Percentile{
				{Percentile: 50, Value: 90}, {Percentile: 99, Value: 700},
			}}},
		}}}
	}
	var few, enough bytes.Buffer
	require.NoError(t, report.Table(&few, with(99)))
	require.Contains(t, rowOf(t, few.String(), "redis"), "90/700†")
	require.Contains(t, few.String(), "† the largest sample")
	require.NoError(t, report.Table(&enough, with(100)))
	require.NotContains(t, enough.String(), "†")
	render(t, with(99)).says(t, "700†")
}

func TestCallsThatWereDownAtTheEndAreSaid(t *testing.T) {
	r := syntheticDemo()
	var out bytes.Buffer
	r.Results[0].Counts[figures.CallsDownAtEnd] = 0
	require.NoError(t, report.Table(&out, r))
	require.NotContains(t, out.String(), "down when the run ended")
	r.Results[0].Counts[figures.CallsDownAtEnd] = 3
	require.NoError(t, report.Table(&out, r))
	require.Contains(t, out.String(), r.GetResults()[0].GetBackend()+" 3.\n")
	render(t, r).says(t, "Calls that were down when the run ended")
}

func TestTheExcessOfMovedCallsIsTakenRunByRunAndMayBeNegative(t *testing.T) {
	run := func(moved, unmoved float64) *reportv1.Result {
		h := func(p99 float64) *reportv1.Histogram {
			return &reportv1.Histogram{Count: 200, Max: p99, Percentiles: []*reportv1.Percentile{{Percentile: 99, Value: p99}}}
		}
		return &reportv1.Result{Backend: "redis", Scenario: "x", Valid: true, Histograms: map[string]*reportv1.Histogram{
			figures.Gap: h(max(moved, unmoved)), figures.GapMoved: h(moved), figures.GapUnmoved: h(unmoved),
		}}
	}
	p := render(t, &reportv1.Report{Results: []*reportv1.Result{run(10, 40), run(50, 45), run(90, 97)}})
	p.says(t, "−7.0 −30 to +5.0") // the medians, 50 and 45, are of one run, and say +5
}

func TestOnlyRepeatsThatAllBackendsHaveAreCompared(t *testing.T) {
	run := func(backend string, repeat uint32, valid bool, misroutes uint64) *reportv1.Result {
		return &reportv1.Result{Backend: backend, Scenario: "x", Repeat: repeat, Valid: valid, Counts: map[string]uint64{figures.Misroutes: misroutes}}
	}
	r := &reportv1.Report{Results: []*reportv1.Result{
		run("redis", 1, true, 4), run("redis", 2, true, 40), run("handoff", 1, true, 5), run("handoff", 2, false, 50),
	}}
	var out bytes.Buffer
	require.NoError(t, report.Table(&out, r))
	require.Equal(t, "4", strings.Fields(rowOf(t, out.String(), "redis"))[2], "not the 44 of both")
	require.Contains(t, out.String(), "compared is only what is (repeat 1)")
	render(t, r).says(t, "compared is only what is (repeat 1)")

	r.Results[2].Valid, r.Results[3].Valid, r.Results[1].Valid = false, true, false
	out.Reset()
	require.NoError(t, report.Table(&out, r))
	require.NotContains(t, out.String(), "different numbers", "one run each")
}

func TestAReportWithoutResults(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, report.Table(&out, &reportv1.Report{}))
	require.Equal(t, "The report holds no results.\n", out.String())
}

func TestOverlaidReportsKeepTheirLabels(t *testing.T) {
	a, b := syntheticDemo(), syntheticDemo()
	a.Run.Label, b.Run.Label = "before", "after"
	var out bytes.Buffer
	require.NoError(t, report.Tables(&out, 160, a, b))
	for _, label := range []string{"redis (before)", "redis (after)"} {
		require.Contains(t, out.String(), label)
	}
	require.Less(t, strings.Index(out.String(), "redis (after)"), strings.Index(out.String(), "istio-hash (before)"), "backends stand beside one another")
}

// Rows are kept by their report's label, so that of two reports with the same one the second would stand for both.
func TestReportsWithTheSameLabelHaveRowsOfTheirOwn(t *testing.T) {
	var reports []*reportv1.Report
	for n := range uint64(3) {
		r := &reportv1.Report{Run: &reportv1.Run{Label: "x"}}
		for _, scenario := range []string{"kill", "steady"} {
			r.Results = append(r.Results, &reportv1.Result{
				Backend: "redis", Scenario: scenario, Valid: true, Counts: map[string]uint64{figures.DroppedCalls: 10 + n},
			})
		}
		reports = append(reports, r)
	}
	var tables, markdown bytes.Buffer
	require.NoError(t, report.Tables(&tables, 160, reports...))
	require.NoError(t, report.Markdown(&markdown, reports...))
	p := render(t, reports...)
	p.says(t, "x · x (2) · x (3)")
	for i, name := range []string{"redis (x)", "redis (x (2))", "redis (x (3))"} {
		dropped := fmt.Sprint(10 + i)
		require.Equal(t, dropped, strings.Fields(strings.TrimPrefix(rowOf(t, tables.String(), name), name))[0], "the overview")
		require.Contains(t, markdown.String(), "| "+name+" | "+dropped+" | "+dropped+" |")
		p.says(t, name+" "+dropped+" · –")
	}
}

func TestCommandRendersAgain(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, report.Save(filepath.Join(dir, "a"), syntheticDemo()))
	require.NoError(t, report.Save(filepath.Join(dir, "b"), syntheticCompare()))
	page := filepath.Join(dir, "both.html")
	c := report.Cmd{
		Files: []string{filepath.Join(dir, "a", report.JSONFile), filepath.Join(dir, "b", report.JSONFile)},
		HTML:  page, Events: true, Claims: true, Width: 160,
	}
	var out bytes.Buffer
	require.NoError(t, c.Run(context.Background(), &out))
	for _, want := range []string{"demo-synthetic", "compare-synthetic", "scale-3-10: scale=10", "not reproduced", page} {
		require.Contains(t, out.String(), want)
	}
	require.FileExists(t, page)

	c.Files = []string{filepath.Join(dir, "missing.json")}
	require.ErrorIs(t, c.Run(context.Background(), &out), os.ErrNotExist)
}

func rowOf(t *testing.T, table, name string) string {
	t.Helper()
	for line := range strings.Lines(table) {
		if strings.HasPrefix(line, name+" ") {
			return strings.TrimRight(line, "\n")
		}
	}
	require.Fail(t, "no row", "%s in\n%s", name, table)
	return ""
}
