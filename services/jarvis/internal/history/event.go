package history

import (
	"cmp"
	"fmt"
	"time"
)

// Kind is what an event is.
type Kind string

// The kinds of event.
const (
	// Granted: the process Giver gave the session to the one that Title names.
	Granted Kind = "granted"
	// Answered: a pod added an answer to the conversation, whoever got it.
	Answered Kind = "answered"
	// Accepted: a caller got an answer.
	Accepted Kind = "accepted"
	// Refused: a caller got none, for the reason in Note.
	Refused Kind = "refused"
	// Dropped: a pod counted the loss of what it had of the session, for the reason in Note.
	Dropped Kind = "dropped"
	// Fault: Note says which.
	Fault Kind = "fault"
	// Left: a pod takes itself for the owner after all faults are over and every pod was asked.
	Left Kind = "left"
)

// Title says who owns a session.
type Title struct {
	Epoch            uint64
	Pod, Incarnation string
}

// compare orders titles by who goes before whom.
func (t Title) compare(other Title) int {
	return cmp.Or(cmp.Compare(t.Epoch, other.Epoch), cmp.Compare(t.Incarnation, other.Incarnation))
}

// Point is where a conversation stands; zero is before its first answer.
type Point struct {
	Turn     uint64
	Checksum string
}

// Event is one thing that happened. What a kind does not say is zero.
type Event struct {
	// Seq orders the events as they were recorded, from 1. At is since the beginning.
	Seq uint64
	At  time.Duration

	Kind    Kind
	Session string
	Title   Title
	Giver   string
	// Point is where an answer left the conversation, Previous the checksum before it. Cold: the pod said that it had nothing.
	Point    Point
	Previous string
	Cold     bool
	// Caller asked, having seen the point Last and the epoch Seen.
	Caller string
	Last   Point
	Seen   uint64
	// Separates: from this fault on, pods may take each other for lost.
	Separates bool
	Note      string
}

func (e Event) String() string {
	s := fmt.Sprintf("%5d %8v %-8s", e.Seq, e.At.Round(time.Millisecond), e.Kind)
	if e.Session != "" {
		s += " " + e.Session
	}
	if e.Title != (Title{}) {
		s += fmt.Sprintf(" %s/%s epoch %d", e.Title.Pod, e.Title.Incarnation, e.Title.Epoch)
	}
	if e.Giver != "" {
		s += " by " + e.Giver
	}
	if e.Point.Turn > 0 {
		s += fmt.Sprintf(" turn %d %s after %q", e.Point.Turn, e.Point.Checksum, e.Previous)
	}
	if e.Cold {
		s += " cold"
	}
	if e.Caller != "" {
		s += fmt.Sprintf(" to %s, who had turn %d %s epoch %d", e.Caller, e.Last.Turn, e.Last.Checksum, e.Seen)
	}
	if e.Note != "" {
		s += " " + e.Note
	}
	return s
}
