package history

import "strings"

// Digest is what happened to a session in short: faults, grants and drops, the first answer of each title, and where a caller goes from one
// title to another. It is what to read first where a rule is broken.
func Digest(events []Event, session string) string {
	var s strings.Builder
	begun := map[Title]bool{}
	had := map[string]Title{}
	for _, e := range events {
		if e.Session != session && e.Kind != Fault {
			continue
		}
		tell := true
		switch e.Kind {
		case Answered:
			tell = !begun[e.Title]
			begun[e.Title] = true
		case Accepted:
			tell = had[e.Caller] != e.Title
			had[e.Caller] = e.Title
		case Refused:
			tell = false
		}
		if tell {
			s.WriteString("\n    ")
			s.WriteString(e.String())
		}
	}
	return s.String()
}
