package history

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Rule is one promise.
type Rule string

// The rules, as the package's text has them.
const (
	OneOwner     Rule = "one owner"
	GivenOnce    Rule = "an owner gives a session once"
	OneThread    Rule = "one conversation under a title"
	Fenced       Rule = "no answer from below the epoch that its caller has seen"
	Reported     Rule = "no loss that is not reported"
	HighestStays Rule = "one owner in the end, under the highest title"
)

// Violation is a rule that was broken.
type Violation struct {
	Rule    Rule
	Session string
	// Text says how. Events show it.
	Text   string
	Events []Event
	// Seed is of the run.
	Seed uint64
}

func (v Violation) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s: session %s: %s (seed %d)", v.Rule, v.Session, v.Text, v.Seed)
	for _, e := range v.Events {
		fmt.Fprintf(&s, "\n    %v", e)
	}
	return s.String()
}

// Check returns what is wrong with a history, session by session. The seed is only named.
func Check(seed uint64, events []Event) []Violation {
	c := &checker{seed: seed, separated: ^uint64(0), sessions: map[string]*thread{}}
	for _, e := range events {
		if e.Kind == Fault {
			if e.Separates {
				c.separated = min(c.separated, e.Seq)
			}
			continue
		}
		t := c.sessions[e.Session]
		if t == nil {
			t = &thread{id: e.Session, answers: map[Point]Event{}}
			c.sessions[e.Session] = t
		}
		t.events = append(t.events, e)
		if e.Kind == Answered {
			t.answers[e.Point] = e
		}
	}
	ended := slices.ContainsFunc(events, func(e Event) bool { return e.Kind == Left })
	for _, id := range sortedKeys(c.sessions) {
		t := c.sessions[id]
		c.owners(t)
		c.forks(t)
		c.callers(t)
		if ended {
			c.end(t)
		}
	}
	return c.found
}

type checker struct {
	seed uint64
	// separated is when pods first may have taken each other for lost.
	separated uint64
	sessions  map[string]*thread
	found     []Violation
}

// thread is what happened to one session.
type thread struct {
	id      string
	events  []Event
	answers map[Point]Event
}

func (c *checker) violated(rule Rule, t *thread, events []Event, format string, args ...any) {
	c.found = append(c.found, Violation{Rule: rule, Session: t.id, Text: fmt.Sprintf(format, args...), Events: events, Seed: c.seed})
}

func (c *checker) owners(t *thread) {
	byTitle, byEpoch, byGiver := map[Title]Event{}, map[uint64]Event{}, map[Title]Event{}
	for _, e := range t.events {
		if e.Kind != Granted && e.Kind != Answered {
			continue
		}
		if e.Kind == Granted {
			grant := Title{Epoch: e.Title.Epoch, Incarnation: e.Giver}
			if first, ok := byGiver[grant]; ok && first.Title != e.Title {
				c.violated(GivenOnce, t, []Event{first, e}, "one epoch was given to two processes")
			}
			byGiver[grant] = e
		}
		title := e.Title
		title.Pod = ""
		if first, ok := byTitle[title]; ok && first.Title.Pod != e.Title.Pod {
			c.violated(OneOwner, t, []Event{first, e}, "two pods have one title")
		} else if !ok {
			byTitle[title] = e
		}
		first, ok := byEpoch[e.Title.Epoch]
		if ok && first.Title.Incarnation != e.Title.Incarnation && e.Seq < c.separated {
			c.violated(OneOwner, t, []Event{first, e}, "two processes have epoch %d, and no fault had separated them", e.Title.Epoch)
		} else if !ok {
			byEpoch[e.Title.Epoch] = e
		}
	}
}

// forks looks at each title's answers in the order of turns: they are recorded a little after they are given.
func (c *checker) forks(t *thread) {
	byTitle := map[Title][]Event{}
	for _, e := range t.events {
		if e.Kind == Answered {
			byTitle[e.Title] = append(byTitle[e.Title], e)
		}
	}
	for _, answers := range byTitle {
		slices.SortStableFunc(answers, func(a, b Event) int { return cmp.Compare(a.Point.Turn, b.Point.Turn) })
		for i := 1; i < len(answers); i++ {
			last, e := answers[i-1], answers[i]
			goesOn := e.Point.Turn == last.Point.Turn+1 && e.Previous == last.Point.Checksum
			if !goesOn && !t.dropped(min(last.Seq, e.Seq), max(last.Seq, e.Seq)) {
				c.violated(OneThread, t, []Event{last, e}, "the second does not follow from the first")
			}
		}
	}
}

func (c *checker) callers(t *thread) {
	for _, e := range t.events {
		if e.Kind != Accepted {
			continue
		}
		if e.Title.Epoch < e.Seen {
			c.violated(Fenced, t, []Event{e}, "epoch %d answered a caller who had seen %d", e.Title.Epoch, e.Seen)
		}
		if e.Last.Turn == 0 || e.Cold || t.follows(e, e.Last) {
			continue
		}
		given, ok := t.answers[e.Last]
		if !ok || !t.dropped(given.Seq, e.Seq) {
			c.violated(Reported, t, []Event{given, e}, "the answer is not part of the conversation that its caller had, and nobody says so")
		}
	}
}

// follows is whether an answer comes after a point of its own conversation.
func (t *thread) follows(e Event, from Point) bool {
	at := Point{Turn: e.Point.Turn - 1, Checksum: e.Previous}
	for at.Turn > from.Turn {
		before, ok := t.answers[at]
		if !ok {
			return false
		}
		at = Point{Turn: at.Turn - 1, Checksum: before.Previous}
	}
	return at == from
}

// dropped is whether a pod counted a loss between two events.
func (t *thread) dropped(after, until uint64) bool {
	return slices.ContainsFunc(t.events, func(e Event) bool { return e.Kind == Dropped && after < e.Seq && e.Seq < until })
}

func (c *checker) end(t *thread) {
	var left, seen []Event
	for _, e := range t.events {
		switch e.Kind {
		case Left:
			left = append(left, e)
		case Accepted:
			seen = append(seen, e)
		}
	}
	if len(seen) == 0 {
		return
	}
	highest := slices.MaxFunc(seen, func(a, b Event) int { return a.Title.compare(b.Title) })
	switch {
	case len(left) != 1:
		c.violated(HighestStays, t, append(left, highest), "%d pods take themselves for its owner", len(left))
	case left[0].Title.compare(highest.Title) < 0:
		c.violated(HighestStays, t, []Event{highest, left[0]}, "its owner's title is below one that a caller saw")
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
