package report

import (
	"fmt"
	"html/template"
	"slices"
	"strings"

	"github.com/smaran-v2/smaran/loadtest/internal/figures"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// page is all that the template shows, formatted.
type page struct {
	Title    string
	Headline string
	Support  []string
	Warnings []string
	Tiles    []tile
	Backends []backendView
	// Matrix is nil unless there are several scenarios.
	Matrix    *matrixView
	Scenarios []scenarioView
	Claims    claimsView
	Runs      []runView

	Style  template.CSS
	Script template.JS
	// Policy is the page's Content-Security-Policy: nothing from anywhere, and no script but its own.
	Policy string
}

// tile is one figure at the top, about whether to trust the rest.
type tile struct {
	Label, Value, Detail string
	Bad                  bool
}

// backendView is a backend's name and colour.
type backendView struct {
	Name  string
	Key   string
	Color template.CSS
}

func viewOf(g *figures.Group) backendView {
	return backendView{Name: nameOf(g), Key: g.Backend, Color: colorOf(g.Backend)}
}

// colorOf is the style sheet's variable for a backend, the same on every chart of every report.
func colorOf(backend string) template.CSS {
	switch backend {
	case "roundrobin", "redis-plain", "redis", "app-hash", "istio-hash", "stateful-header", "stateful-cookie", "handoff":
		return template.CSS("--c:var(--b-" + backend + ")") //nolint:gosec // one of the names above
	case "istio-hash:ring":
		return "--c:var(--b-istio-hash)"
	case "istio-hash:maglev":
		return "--c:var(--b-maglev)"
	default:
		return "--c:var(--b-other)"
	}
}

// buildPage makes the view of one report, or of several laid over one another.
func buildPage(reports []*reportv1.Report) *page {
	groups := groupsOf(reports)
	rows := MergeClaims(reports)
	ids := &idSource{}
	p := &page{Claims: claimsViewOf(rows)}
	p.Headline, p.Support = headlineOf(groups, rows)
	labels := labelsOf(reports)
	p.Title = strings.Join(labels, " · ")
	p.Tiles = tilesOf(groups, rows)
	seen := map[string]bool{}
	for _, g := range groups {
		if !seen[g.Backend] {
			seen[g.Backend] = true
			p.Backends = append(p.Backends, backendView{Name: g.Backend, Key: g.Backend, Color: colorOf(g.Backend)})
		}
	}
	slices.SortStableFunc(p.Backends, func(a, b backendView) int { return figures.CompareBackends(a.Key, b.Key) })
	scenarios := scenariosOf(groups)
	if len(scenarios) > 1 {
		p.Matrix = matrixOf(groups, scenarios)
	}
	for i, name := range scenarios {
		of := inScenario(groups, name)
		view := scenarioOf(fmt.Sprintf("s%d", i+1), name, of, ids)
		if of[0].Label == "" { // intervals of different reports have nothing to do with each other
			view.Differences = differencesOf(name, comparisonsOf(reports))
		}
		p.Scenarios = append(p.Scenarios, view)
	}
	for i, r := range reports {
		if r.GetRun().GetInterrupted() {
			p.Warnings = append(p.Warnings, labels[i]+" was interrupted: what is here was measured until then.")
		}
		run := runOf(r)
		if len(reports) > 1 {
			run.Label = labels[i]
		}
		p.Runs = append(p.Runs, run)
	}
	return p
}

// comparisonsOf are those of the one report that has any.
func comparisonsOf(reports []*reportv1.Report) []*reportv1.Comparison {
	for _, r := range reports {
		if len(r.GetComparisons()) > 0 {
			return r.GetComparisons()
		}
	}
	return nil
}

// idSource numbers the charts of a page.
type idSource struct{ n int }

func (s *idSource) next() string {
	s.n++
	return fmt.Sprintf("c%d", s.n)
}

func tilesOf(groups []*figures.Group, rows []*reportv1.Claim) []tile {
	var out []tile
	if len(groups) > 0 {
		var all, valid int
		var late, cores []float64
		for _, g := range groups {
			all, valid = all+len(g.All), valid+len(g.Valid)
			for _, r := range g.All {
				if r.GetGenerator() != nil {
					late = append(late, r.GetGenerator().GetLateShare())
					cores = append(cores, r.GetGenerator().GetCpuCores())
				}
			}
		}
		validity := tile{Label: "Valid runs", Value: fmt.Sprintf("%d of %d", valid, all), Bad: valid < all, Detail: "each kept up with its own load"}
		if validity.Bad {
			validity.Detail = "the others are marked ✗ and compared with nothing"
		}
		out = append(out, validity)
		if lateness, ok := figures.Over(late); ok {
			used, _ := figures.Over(cores)
			out = append(out, tile{
				Label: "Late sends, at worst", Value: percent(lateness.High), Bad: lateness.High > figures.MaxLateShare,
				Detail: fmt.Sprintf("of the requests of a run; over %s it would not be valid. Generator: at most %.2f cores", percent(figures.MaxLateShare), used.High),
			})
		}
		var minutes float64
		var requests, events uint64
		for _, g := range groups {
			d := g.Denominators()
			minutes, requests, events = minutes+d.GetCallMinutes(), requests+d.GetRequests(), events+d.GetEvents()
		}
		out = append(out, tile{
			Label: "Measured", Value: rate(minutes) + " call-minutes",
			Detail: fmt.Sprintf("%s and %s, all backends together", plural(requests, "request"), plural(events, "event")),
		})
	}
	verdicts := claimsViewOf(rows)
	return append(out, tile{
		Label: "Claims answered", Value: fmt.Sprintf("%d of %d", verdicts.Decided, len(rows)),
		Detail: "each with its figure; the others say what answers them",
	})
}
