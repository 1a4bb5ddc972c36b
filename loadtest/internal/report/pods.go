package report

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/smaran-v2/smaran/loadtest/internal/figures"
	"github.com/smaran-v2/smaran/loadtest/internal/report/chart"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// podLoads are one run's pods in the order of their numbers. Pods of several runs are never added up: in a cluster each run has its own.
func podLoads(r *reportv1.Result) []*reportv1.PodLoad {
	return slices.SortedFunc(slices.Values(r.GetPods()), func(a, b *reportv1.PodLoad) int {
		return cmp.Or(cmp.Compare(ordinal(a.GetPod()), ordinal(b.GetPod())), strings.Compare(a.GetPod(), b.GetPod()))
	})
}

// ordinal is the number at the end of a pod's name, so that jarvis-10 follows jarvis-9.
func ordinal(name string) int {
	n, err := strconv.Atoi(name[strings.LastIndexByte(name, '-')+1:])
	if err != nil {
		return 0
	}
	return n
}

// drawn is the repeat whose pods are drawn: the first that lists any. It is nil where none does.
func drawn(g *figures.Group) *reportv1.Result {
	for _, r := range g.Used() {
		if len(r.GetPods()) > 0 {
			return r
		}
	}
	return nil
}

func podsOf(groups []*figures.Group, ids *idSource) []panelView {
	var most uint64
	for _, g := range groups {
		for _, p := range drawn(g).GetPods() {
			most = max(most, p.GetRequests())
		}
	}
	var out []panelView
	for _, g := range groups {
		run := drawn(g)
		if run == nil {
			continue
		}
		note := podsNote(g)
		c := chart.Columns{
			Caption: chart.Caption{
				ID: ids.next(), Title: nameOf(g) + ": requests by pod",
				Description: fmt.Sprintf("%s, %s.", plural(uint64(figures.FleetSize(run)), "pod"), note),
			},
			Unit: "requests", Most: most, Pods: figures.FleetSize(run),
		}
		for _, p := range podLoads(run) {
			c.Columns = append(c.Columns, chart.Column{
				Name: p.GetPod(), Count: p.GetRequests(), Detail: fmt.Sprintf(", %d sessions, %d calls placed", p.GetSessions(), p.GetCallsPlaced()),
			})
		}
		out = append(out, panelView{backendView: viewOf(g), Note: note, Invalid: !g.Ranked(), SVG: c.SVG()})
	}
	return out
}

// podsNote says how evenly the load was spread: a figure of each repeat by itself, and its range over them.
func podsNote(g *figures.Group) string {
	note := absent
	if r, ok := g.Over(figures.PeakToMean); ok {
		note = fmt.Sprintf("peak/mean %.2f", r.Median)
		if low, high := fmt.Sprintf("%.2f", r.Low), fmt.Sprintf("%.2f", r.High); low != high {
			note += fmt.Sprintf(" (%s–%s over %d repeats)", low, high, r.Runs)
		}
	}
	if n := idleOf(g); n != "" {
		note += "; " + n + " pods got no requests"
	}
	return note
}

// idleOf is "7 of 10": pods that got no requests, and pods that there were, each over the repeats that list theirs. It is empty where all
// pods of all repeats served, however many each repeat had.
func idleOf(g *figures.Group) string {
	over := func(number func(*reportv1.Result) int) figures.Range {
		r, _ := g.Over(func(r *reportv1.Result) (float64, bool) { return float64(number(r)), len(r.GetPods()) > 0 })
		return r
	}
	idle := over(func(r *reportv1.Result) int { return figures.FleetSize(r) - figures.Served(r) })
	if idle.High == 0 {
		return ""
	}
	return whole(idle) + " of " + whole(over(figures.FleetSize))
}

// idlePods names the backends whose load never reached a part of the fleet, which no other figure shows: the pods that were there served
// well. It is empty where all pods served.
func idlePods(groups []*figures.Group) string {
	var said []string
	for _, g := range groups {
		if n := idleOf(g); n != "" {
			said = append(said, nameOf(g)+" "+n)
		}
	}
	if len(said) == 0 {
		return ""
	}
	return "Pods that got no requests: " + strings.Join(said, ", ") + "."
}

// whole is a range of a number of things: 3, or 3–5 where the repeats differ.
func whole(r figures.Range) string {
	low, high := count(uint64(r.Low)), count(uint64(r.High))
	if low == high {
		return low
	}
	return low + "–" + high
}

// podsView is the same as a table.
type podsView struct {
	backendView
	Pods []podView
}

type podView struct{ Repeat, Name, Address, Requests, Sessions, Calls string }

func podTablesOf(groups []*figures.Group) []podsView {
	var out []podsView
	for _, g := range groups {
		view := podsView{backendView: viewOf(g)}
		for _, r := range g.Used() {
			for _, p := range podLoads(r) {
				view.Pods = append(view.Pods, podView{
					fmt.Sprint(max(r.GetRepeat(), 1)), p.GetPod(), p.GetAddress(), count(p.GetRequests()), count(p.GetSessions()), count(p.GetCallsPlaced()),
				})
			}
		}
		if len(view.Pods) > 0 {
			out = append(out, view)
		}
	}
	return out
}
