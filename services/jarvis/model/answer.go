package model

import (
	"fmt"
	"unicode/utf8"
)

// quoted is how much of a prompt an answer repeats, in bytes: what the agent says stays short enough to speak.
const quoted = 80

// openings vary what the agent says.
var openings = [...]string{
	"Certainly.",
	"Let me think about that.",
	"Here is what I found.",
	"Good question.",
}

// Answer makes up a reply. It is never empty.
func (s *Stream) Answer(prompt string) string {
	opening := openings[s.rng.IntN(len(openings))]
	if prompt == "" {
		return opening + " How can I help you?"
	}
	return fmt.Sprintf("%s You said: %s", opening, shorten(prompt))
}

// shorten cuts at a rune's start, so that what is sent stays valid UTF-8.
func shorten(s string) string {
	if len(s) <= quoted {
		return s
	}
	end := quoted
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}
