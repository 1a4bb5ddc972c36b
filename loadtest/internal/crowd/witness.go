package crowd

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/smaran-v2/smaran/loadtest/internal/tally"
	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/services/wire"
)

// witness writes what one caller sees into the book. It is a tally.Observer.
type witness struct {
	book    *book
	session string
	epoch   time.Time
}

// Inference implements tally.Observer.
func (w *witness) Inference(i tally.Inference) {
	w.book.inference(w.epoch.Add(i.Done), &stagev1.CrowdInference{
		Session: w.session, Latency: durationpb.New(i.Latency()), Late: durationpb.New(max(0, i.Sent-i.Intended)),
		State: i.State.String(), First: i.First, Pod: i.Pod, Address: i.Address, Error: i.Error, Misrouted: i.Misrouted,
	})
}

// Occurrence implements tally.Observer.
func (w *witness) Occurrence(o tally.Occurrence) { w.occurred(o.At, string(o.Class)) }

// dropped says that a request was not sent.
func (w *witness) dropped(at time.Duration) { w.occurred(at, wire.CountDroppedIterations) }

func (w *witness) occurred(at time.Duration, class string) {
	w.book.occurrence(w.epoch.Add(at), &stagev1.Occurrence{Session: w.session, Class: class})
}

// Up implements tally.Observer.
func (w *witness) Up(s tally.Setup) { w.Moved(s.Call, s.At, s.Pod) }

// Moved implements tally.Observer.
func (w *witness) Moved(_ int, at time.Duration, pod string) {
	w.book.call(w.epoch.Add(at), &stagev1.CallChange{Session: w.session, Up: true, Pod: pod})
}

// Down implements tally.Observer.
func (w *witness) Down(_ int, at time.Duration) {
	w.book.call(w.epoch.Add(at), &stagev1.CallChange{Session: w.session})
}

// Gap implements tally.Observer.
func (w *witness) Gap(g tally.Gap) {
	w.book.gap(w.epoch.Add(g.At), &stagev1.MediaGap{Session: w.session, Length: durationpb.New(g.Duration)})
}

// both tells two observers.
type both [2]tally.Observer

func (b both) Inference(i tally.Inference)   { b[0].Inference(i); b[1].Inference(i) }
func (b both) Occurrence(o tally.Occurrence) { b[0].Occurrence(o); b[1].Occurrence(o) }
func (b both) Up(s tally.Setup)              { b[0].Up(s); b[1].Up(s) }
func (b both) Gap(g tally.Gap)               { b[0].Gap(g); b[1].Gap(g) }
func (b both) Down(call int, at time.Duration) {
	b[0].Down(call, at)
	b[1].Down(call, at)
}

func (b both) Moved(call int, at time.Duration, pod string) {
	b[0].Moved(call, at, pod)
	b[1].Moved(call, at, pod)
}
