package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/smaran-v2/smaran/loadtest/internal/claims"
	"github.com/smaran-v2/smaran/loadtest/internal/figures"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// runView is how a run came about.
type runView struct {
	Label   string
	Command string
	Facts   []pair
	Version []pair
}

func runOf(r *reportv1.Report) runView {
	run := r.GetRun()
	v := runView{Command: run.GetCommand(), Version: pairs(run.GetVersions())}
	add := func(name, value string) {
		if value != "" {
			v.Facts = append(v.Facts, pair{name, value})
		}
	}
	add("Run", run.GetId())
	add("Kind", run.GetKind())
	add("Driver", run.GetDriver())
	add("Seed", fmt.Sprint(run.GetSeed()))
	if t := run.GetStarted(); t != nil {
		add("Started", t.AsTime().UTC().Format(time.DateTime)+" UTC")
		if end := run.GetFinished(); end != nil {
			add("Took", took(float64(end.AsTime().Sub(t.AsTime()))/float64(time.Millisecond)))
		}
	}
	if m := run.GetMachine(); m != nil {
		add("System", strings.TrimSpace(m.GetOs()+"/"+m.GetArch()+" "+m.GetKernel()))
		add("Processor", fmt.Sprintf("%s, %d cores", m.GetCpuModel(), m.GetCpus()))
		add("Memory", fmt.Sprintf("%.1f GiB", float64(m.GetMemoryBytes())/(1<<30)))
	}
	add("Schema", r.GetSchemaVersion())
	return v
}

func pairs(m map[string]string) []pair {
	var out []pair
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, pair{k, m[k]})
	}
	return out
}

// claimsView is all 39 claims.
type claimsView struct {
	Decided  int
	Verdicts []verdictCount
	Rows     []claimView
}

type verdictCount struct {
	Name, Class string
	Count       int
}

type claimView struct {
	Number                    uint32
	Text, Source, Method      string
	Measured, Note, Command   string
	Verdict, Class, WhereText string
}

func claimsViewOf(rows []*reportv1.Claim) claimsView {
	v := claimsView{}
	n := map[reportv1.Verdict]int{}
	for _, c := range rows {
		d, _ := claims.Lookup(c.GetNumber())
		n[c.GetVerdict()]++
		row := claimView{
			Number: c.GetNumber(), Text: c.GetText(), Source: c.GetSource(), Method: d.Method,
			Measured: c.GetMeasured(), Note: c.GetNote(), Verdict: VerdictText(c.GetVerdict()), Class: verdictClass(c.GetVerdict()),
		}
		if claims.Decided(c) {
			v.Decided++
		}
		if c.GetVerdict() == reportv1.Verdict_VERDICT_NOT_RUN {
			row.Command, row.Note, _ = strings.Cut(c.GetNote(), " (")
			row.Note = strings.TrimSuffix(row.Note, ")")
		}
		v.Rows = append(v.Rows, row)
	}
	for _, verdict := range []reportv1.Verdict{
		reportv1.Verdict_VERDICT_REPRODUCED, reportv1.Verdict_VERDICT_NOT_REPRODUCED, reportv1.Verdict_VERDICT_DEPENDS,
		reportv1.Verdict_VERDICT_NOT_RUN, reportv1.Verdict_VERDICT_NOT_MEASURABLE_HERE,
	} {
		v.Verdicts = append(v.Verdicts, verdictCount{VerdictText(verdict), verdictClass(verdict), n[verdict]})
	}
	return v
}

func verdictClass(v reportv1.Verdict) string {
	switch v {
	case reportv1.Verdict_VERDICT_REPRODUCED:
		return "yes"
	case reportv1.Verdict_VERDICT_NOT_REPRODUCED:
		return "no"
	case reportv1.Verdict_VERDICT_DEPENDS:
		return "depends"
	case reportv1.Verdict_VERDICT_NOT_MEASURABLE_HERE:
		return "elsewhere"
	default:
		return "open"
	}
}

// matrixView is the overview of backends by scenarios.
type matrixView struct {
	Scenarios []scenarioLink
	Rows      []matrixRow
}

type scenarioLink struct{ ID, Name string }

type matrixRow struct {
	backendView
	Cells []matrixCell
}

type matrixCell struct {
	Dropped, Interrupted, Moved cell
	Invalid, Missing            bool
}

func matrixOf(groups []*figures.Group, scenarios []string) *matrixView {
	v := &matrixView{}
	for i, s := range scenarios {
		v.Scenarios = append(v.Scenarios, scenarioLink{fmt.Sprintf("s%d", i+1), s})
	}
	type key struct{ label, backend string }
	rows := map[key][]matrixCell{}
	var order []*figures.Group
	for i, s := range scenarios {
		of := inScenario(groups, s)
		t := tableOf(of, []figure{
			countFigure("", figures.DroppedCalls, ""), countFigure("", figures.MediaInterruptions, ""), {value: movedFigure},
		})
		for j, g := range of {
			k := key{g.Label, g.Backend}
			if rows[k] == nil {
				rows[k] = make([]matrixCell, len(scenarios))
				for c := range rows[k] {
					rows[k][c].Missing = true
				}
				order = append(order, g)
			}
			cells := t.Rows[j].Cells
			rows[k][i] = matrixCell{Dropped: cells[0], Interrupted: cells[1], Moved: cells[2], Invalid: !g.Ranked()}
		}
	}
	slices.SortStableFunc(order, func(a, b *figures.Group) int { return figures.CompareBackends(a.Backend, b.Backend) })
	for _, g := range order {
		v.Rows = append(v.Rows, matrixRow{viewOf(g), rows[key{g.Label, g.Backend}]})
	}
	return v
}
