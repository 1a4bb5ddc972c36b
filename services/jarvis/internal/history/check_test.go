package history_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/jarvis/internal/history"
)

var (
	first  = history.Title{Epoch: 1, Pod: "jarvis-1", Incarnation: "a"}
	second = history.Title{Epoch: 2, Pod: "jarvis-2", Incarnation: "b"}
	// rival has the second one's epoch, and goes over it.
	rival = history.Title{Epoch: 2, Pod: "jarvis-3", Incarnation: "c"}
)

// tale writes a history of one session, whose checksums are the turns with a letter for the conversation that they belong to.
type tale struct{ *history.Recorder }

func newTale() tale { return tale{history.NewRecorder()} }

func point(turn uint64, thread string) history.Point {
	if turn == 0 {
		return history.Point{}
	}
	return history.Point{Turn: turn, Checksum: fmt.Sprint(turn, thread)}
}

// answer is given under a title to a caller who has the turn before, and who has seen an epoch.
func (r tale) answer(title history.Title, turn uint64, thread string, seen uint64) {
	r.jump(title, turn, thread, point(turn-1, thread), seen)
}

// jump is answer to a caller who stands elsewhere.
func (r tale) jump(title history.Title, turn uint64, thread string, last history.Point, seen uint64) {
	e := history.Event{Session: "s", Title: title, Point: point(turn, thread), Previous: point(turn-1, thread).Checksum, Kind: history.Answered}
	r.Record(e)
	e.Kind, e.Caller, e.Last, e.Seen = history.Accepted, "caller", last, seen
	r.Record(e)
}

func (r tale) grant(to history.Title, by string) {
	r.Record(history.Event{Kind: history.Granted, Session: "s", Title: to, Giver: by})
}

func (r tale) note(kind history.Kind, title history.Title) {
	r.Record(history.Event{Kind: kind, Session: "s", Title: title})
}

func (r tale) separate() {
	r.Record(history.Event{Kind: history.Fault, Separates: true, Note: "a partition"})
}

// moved is a session that goes from the first pod to the second.
func moved() tale {
	r := newTale()
	r.answer(first, 1, "x", 0)
	r.answer(first, 2, "x", 1)
	r.grant(second, "a")
	r.grant(second, "a") // its answer was lost
	r.answer(second, 3, "x", 1)
	return r
}

func TestASessionMayMove(t *testing.T) {
	r := moved()
	r.answer(second, 4, "x", 2)
	r.note(history.Left, second)
	require.Empty(t, history.Check(7, r.Events()))
}

func TestBothSidesOfAPartitionMayTakeOneEpoch(t *testing.T) {
	r := moved()
	r.separate()
	r.jump(rival, 4, "x", point(3, "x"), 2)
	r.note(history.Left, rival)
	require.Empty(t, history.Check(7, r.Events()))
}

func TestALossMayBeReported(t *testing.T) {
	t.Run("counted", func(t *testing.T) {
		r := moved()
		r.separate()
		r.note(history.Dropped, rival)
		r.jump(rival, 7, "y", point(3, "x"), 2)
		require.Empty(t, history.Check(7, r.Events()))
	})
	t.Run("cold", func(t *testing.T) {
		r := moved()
		r.separate()
		e := history.Event{Kind: history.Answered, Session: "s", Title: rival, Point: point(1, "y"), Cold: true}
		r.Record(e)
		e.Kind, e.Last, e.Seen = history.Accepted, point(3, "x"), 2
		r.Record(e)
		require.Empty(t, history.Check(7, r.Events()))
	})
}

func TestEveryRuleCanBeBroken(t *testing.T) {
	for rule, broken := range map[history.Rule]map[string]func(tale){
		history.OneOwner: {
			"two pods under one title": func(r tale) {
				r.answer(history.Title{Epoch: 2, Pod: "jarvis-9", Incarnation: "b"}, 4, "x", 2)
			},
			"two processes under one epoch, without a fault": func(r tale) { r.answer(rival, 4, "x", 2) },
		},
		history.GivenOnce: {
			"though a partition": func(r tale) {
				r.separate()
				r.grant(rival, "a")
			},
		},
		history.OneThread: {
			"the same turn twice": func(r tale) { r.jump(second, 3, "y", point(0, ""), 2) },
			"a turn left out":     func(r tale) { r.jump(second, 5, "x", point(0, ""), 2) },
		},
		history.Fenced: {
			"the old owner answers": func(r tale) { r.answer(first, 4, "x", 2) },
		},
		history.Reported: {
			"the turn went back":               func(r tale) { r.separate(); r.jump(rival, 3, "z", point(3, "x"), 2) },
			"another conversation, further on": func(r tale) { r.separate(); r.jump(rival, 7, "z", point(3, "x"), 2) },
		},
		history.HighestStays: {
			"nobody":          func(r tale) { r.Record(history.Event{Kind: history.Left, Session: "another", Title: first}) },
			"two":             func(r tale) { r.note(history.Left, first); r.note(history.Left, second) },
			"the lower one":   func(r tale) { r.note(history.Left, first) },
			"the lower rival": func(r tale) { r.separate(); r.answer(rival, 4, "x", 2); r.note(history.Left, second) },
		},
	} {
		for name, do := range broken {
			t.Run(string(rule)+"/"+name, func(t *testing.T) {
				r := moved()
				do(r)
				found := history.Check(7, r.Events())
				require.NotEmpty(t, found)
				require.Contains(t, rules(found), rule)
				require.Contains(t, found[0].String(), "seed 7")
				require.Contains(t, found[0].String(), "session s")
			})
		}
	}
}

func rules(found []history.Violation) []history.Rule {
	var all []history.Rule
	for _, v := range found {
		all = append(all, v.Rule)
	}
	return all
}
