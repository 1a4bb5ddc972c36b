package tally

import (
	"sync"
	"time"

	"github.com/smaran-v2/smaran/loadtest/internal/figures"
)

// Recorder takes what the callers of one worker see. It is safe for concurrent use.
//
// Latencies of the measured part go into histograms as they come, so that a long run needs no second pass; the records
// themselves are kept as well (about 120 bytes a request), because moves and timelines need each one's time.
type Recorder struct {
	from, to time.Duration
	observer Observer

	mu    sync.Mutex
	all   Records
	hists map[string]Histogram
}

// Observer is told of what is recorded as it comes, the warm-up included. It is quick, and safe for concurrent use.
type Observer interface {
	Inference(Inference)
	Occurrence(Occurrence)
	// Up tells of a call that is placed, Moved of one that is at another pod from now on, and Down of one that is lost or hung up.
	Up(Setup)
	Moved(call int, at time.Duration, pod string)
	Down(call int, at time.Duration)
	// Gap is a call's longest of one slice.
	Gap(Gap)
}

// NewRecorder measures what was intended in [from, to), counted from the start of the run. The observer may be nil.
func NewRecorder(from, to time.Duration, observer Observer) *Recorder {
	r := &Recorder{from: from, to: to, observer: observer, hists: map[string]Histogram{}}
	r.all.SideErrors = map[string]uint64{}
	return r
}

func (r *Recorder) record(name string, d time.Duration) {
	h, ok := r.hists[name]
	if !ok {
		h = NewHistogram()
		r.hists[name] = h
	}
	h.Record(d)
}

// Inference adds a finished request.
func (r *Recorder) Inference(i Inference) {
	if r.observer != nil {
		r.observer.Inference(i)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all.Inferences = append(r.all.Inferences, i)
	if i.State == Failed || i.Intended < r.from || i.Intended >= r.to {
		return
	}
	r.record(figures.Inference, i.Latency())
	switch i.State {
	case Cold:
		r.record(figures.InferenceCold, i.Latency())
	case Warm:
		r.record(figures.InferenceWarm, i.Latency())
	}
	if i.Route > 0 {
		r.record(figures.Route, i.Route)
	}
}

// Occurrence adds one thing of a class.
func (r *Recorder) Occurrence(o Occurrence) {
	if r.observer != nil {
		r.observer.Occurrence(o)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all.Occurrences = append(r.all.Occurrences, o)
}

// Setup adds a call that was placed. The warm-up's are included: all first calls are placed in it.
func (r *Recorder) Setup(s Setup) {
	if r.observer != nil {
		r.observer.Up(s)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all.Setups = append(r.all.Setups, s)
	r.record(figures.Setup, s.Took)
}

// Loss says that a call went down.
func (r *Recorder) Loss(call int, at time.Duration) {
	r.HungUp(call, at)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all.Losses = append(r.all.Losses, Occurrence{At: at, Call: call})
}

// HungUp says that a caller ended its call, as callers do at the end of a run: that is no loss.
func (r *Recorder) HungUp(call int, at time.Duration) {
	if r.observer != nil {
		r.observer.Down(call, at)
	}
}

// Moved says that a call is at another pod, without having been down. That it did is an Occurrence besides.
func (r *Recorder) Moved(call int, at time.Duration, pod string) {
	if r.observer != nil {
		r.observer.Moved(call, at, pod)
	}
}

// Gap adds a call's longest gap of one slice.
func (r *Recorder) Gap(g Gap) {
	if r.observer != nil {
		r.observer.Gap(g)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all.Gaps = append(r.all.Gaps, g)
	if g.At >= r.from && g.At < r.to {
		r.record(figures.Gap, g.Duration)
	}
}

// SideError counts a failed request that was no inference.
func (r *Recorder) SideError(code string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all.SideErrors[code]++
}

// Merge gathers what all workers recorded. The recorders must no longer be in use.
func Merge(recorders []*Recorder) (Records, map[string]Histogram) {
	all := Records{SideErrors: map[string]uint64{}}
	hists := map[string]Histogram{}
	for _, r := range recorders {
		r.mu.Lock()
		all.Inferences = append(all.Inferences, r.all.Inferences...)
		all.Occurrences = append(all.Occurrences, r.all.Occurrences...)
		all.Setups = append(all.Setups, r.all.Setups...)
		all.Losses = append(all.Losses, r.all.Losses...)
		all.Gaps = append(all.Gaps, r.all.Gaps...)
		for code, n := range r.all.SideErrors {
			all.SideErrors[code] += n
		}
		for name, h := range r.hists {
			if _, ok := hists[name]; !ok {
				hists[name] = NewHistogram()
			}
			hists[name].Merge(h)
		}
		r.mu.Unlock()
	}
	return all, hists
}
