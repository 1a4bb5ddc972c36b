package moves

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/smaran-v2/smaran/loadtest/internal/tally"
	"github.com/smaran-v2/smaran/services/affinity"
)

// Moved is what one step did.
type Moved struct {
	Window  Window
	Changes []Version
	// Observed sessions, and of them those that moved and those that any answer from the step's start on came from another
	// pod, also if they came back.
	Observed, Moved, Detoured uint64
	Unobserved                uint64
	// ByMoves counts the observed sessions by how often an answer came from another pod than the one before, from the step's start on:
	// first those that stayed, then those that moved once, and so on.
	ByMoves []uint64
	// PredictedMoved and Mispredicted are nil where nothing can be predicted.
	PredictedMoved, Mispredicted *uint64
	// MinimalShare is nil where the number of hosts in rotation is as before.
	MinimalShare *float64
}

// Account is the whole run.
type Account struct {
	// Steps has one entry a step.
	Steps []Moved
	// Before is the settled time before the first step, and Mispredicted its sessions that were served elsewhere than
	// predicted; nil where nothing can be predicted or nothing was seen.
	Before       Window
	Mispredicted *uint64
	// Scattered is the number of sessions served by more than one pod within one settled time, over all of them.
	Scattered uint64
}

// New accounts for a run. It fails where the predictor refuses the hosts.
func New(in Input) (Account, error) {
	answers := byCall(in)
	windows := in.windows()
	out := Account{Before: windows[0], Steps: make([]Moved, len(in.Steps))}
	scattered := make([]bool, len(in.Sessions))

	picks, err := in.picks(windows[0])
	if err != nil {
		return Account{}, err
	}
	if picks != nil {
		for call, session := range in.Sessions {
			seen := within(answers[call], windows[0])
			if len(seen) == 0 {
				continue
			}
			if out.Mispredicted == nil {
				out.Mispredicted = new(uint64)
			}
			if elsewhere(seen, picks(session)) {
				*out.Mispredicted++
			}
		}
	}
	for k := range in.Steps {
		if out.Steps[k], err = in.step(k, windows, answers); err != nil {
			return Account{}, err
		}
	}
	for call := range in.Sessions {
		for _, w := range windows {
			if seen := within(answers[call], w); len(seen) > 0 && elsewhere(seen, seen[0].Address) {
				scattered[call] = true
			}
		}
		if scattered[call] {
			out.Scattered++
		}
	}
	return out, nil
}

// step accounts for step k: windows[k] is the settled time before it, windows[k+1] the one after.
func (in Input) step(k int, windows []Window, answers [][]tally.Inference) (Moved, error) {
	start := in.Steps[k].Start
	m := Moved{Window: windows[k+1], Changes: in.changes(k)}
	hostsBefore, hostsAfter := in.hostsAt(start-1), in.hostsAt(m.Window.From) // a change at the very start is the step's
	if len(hostsBefore) != len(hostsAfter) && !m.Window.Empty() {
		share := affinity.LeastMoved(hostsBefore, hostsAfter)
		m.MinimalShare = &share
	}
	before, err := in.picks(windows[k])
	if err != nil {
		return Moved{}, err
	}
	after, err := in.picks(m.Window)
	if err != nil {
		return Moved{}, err
	}
	if before != nil && after != nil {
		m.PredictedMoved, m.Mispredicted = new(uint64), new(uint64)
	}
	for call, session := range in.Sessions {
		old, settled := within(answers[call], windows[k]), within(answers[call], m.Window)
		if len(old) == 0 || len(settled) == 0 {
			m.Unobserved++
			continue
		}
		m.Observed++
		was := old[len(old)-1].Address
		if settled[0].Address != was {
			m.Moved++
		}
		times := changes(within(answers[call], Window{start, m.Window.To}), was)
		if times > 0 {
			m.Detoured++
		}
		m.ByMoves = append(m.ByMoves, make([]uint64, max(0, times+1-len(m.ByMoves)))...)
		m.ByMoves[times]++
		if m.Mispredicted == nil {
			continue
		}
		if before(session) != after(session) {
			*m.PredictedMoved++
		}
		if elsewhere(settled, after(session)) {
			*m.Mispredicted++
		}
	}
	return m, nil
}

// windows are the settled times: before the first step, then after each.
func (in Input) windows() []Window {
	out := make([]Window, 0, len(in.Steps)+1)
	out = append(out, Window{max(in.From, in.settledAfter(0, in.startOf(0))), in.startOf(0)})
	for k, s := range in.Steps {
		end := in.startOf(k + 1)
		out = append(out, Window{max(s.Finish+in.Margin, in.settledAfter(s.Start, end)), end})
	}
	return out
}

// settledAfter is the last endpoint change in [from, to) plus the margin; 0 where there was none.
func (in Input) settledAfter(from, to time.Duration) time.Duration {
	settled := time.Duration(0)
	for _, v := range in.History {
		if v.At >= from && v.At < to {
			settled = v.At + in.Margin
		}
	}
	return settled
}

// startOf is when step k started, or the end of measuring past the last.
func (in Input) startOf(k int) time.Duration {
	if k < len(in.Steps) {
		return in.Steps[k].Start
	}
	return in.To
}

// changes are the endpoint versions from step k's start to the next one's.
func (in Input) changes(k int) []Version {
	var out []Version
	for _, v := range in.History {
		if v.At >= in.Steps[k].Start && v.At < in.startOf(k+1) {
			out = append(out, v)
		}
	}
	return out
}

// hostsAt are the hosts in rotation at a time.
func (in Input) hostsAt(at time.Duration) []affinity.Host {
	var hosts []affinity.Host
	for _, v := range in.History {
		if v.At <= at {
			hosts = v.Set.Hosts()
		}
	}
	return hosts
}

// picks is the prediction for the endpoints in force in a window, nil without one.
func (in Input) picks(w Window) (func(string) string, error) {
	if in.Predict == nil || w.Empty() {
		return nil, nil
	}
	picks, err := in.Predict(in.hostsAt(w.From))
	if err != nil {
		return nil, fmt.Errorf("predict where sessions go: %w", err)
	}
	return picks, nil
}

// byCall are the answers of each call, by the time they were sent.
func byCall(in Input) [][]tally.Inference {
	out := make([][]tally.Inference, len(in.Sessions))
	for _, i := range in.Inferences {
		if i.State != tally.Failed {
			out[i.Call] = append(out[i.Call], i)
		}
	}
	for _, answers := range out {
		slices.SortFunc(answers, func(a, b tally.Inference) int { return cmp.Compare(a.Sent, b.Sent) })
	}
	return out
}

func within(answers []tally.Inference, w Window) []tally.Inference {
	var out []tally.Inference
	for _, a := range answers {
		if w.holds(a) {
			out = append(out, a)
		}
	}
	return out
}

// changes is how often answers came from another pod than the one before, the first one's being was.
func changes(answers []tally.Inference, was string) (n int) {
	for _, a := range answers {
		if a.Address != was {
			n++
		}
		was = a.Address
	}
	return n
}

func elsewhere(answers []tally.Inference, address string) bool {
	return slices.ContainsFunc(answers, func(a tally.Inference) bool { return a.Address != address })
}
