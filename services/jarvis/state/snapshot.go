package state

import (
	"slices"
	"time"
)

// Bounds of a Snapshot, so that it fits into a message.
const (
	MaxPoints = remembered
	// MaxResults is of prompts and texts together, in bytes. Answers beyond it are not copied: they are inferred anew if asked for again.
	MaxResults = 512 << 10
)

// Snapshot is a copy of a conversation, on its way to another pod.
type Snapshot struct {
	At Point
	// Recent are the points where a caller may stand, oldest first, MaxPoints at most.
	Recent []Point
	// Results are the answers that can be repeated, the least recently used first.
	Results []Result
}

// Result is one answer.
type Result struct{ Prompt, Text string }

// recent are the points in the order in which they were added.
func (h *history) recent() []Point {
	n := min(h.added, remembered)
	points := make([]Point, 0, n)
	for i := h.added - n; i < h.added; i++ {
		points = append(points, h.points[i%remembered])
	}
	return points
}

// snapshot copies the conversation as it is now.
func (s *Session) snapshot() Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	snap := Snapshot{At: s.current.at, Recent: s.current.history.recent()}
	if s.current.results == nil {
		return snap
	}
	size := 0
	for _, prompt := range slices.Backward(s.current.results.Keys()) { // the newest first
		text, _ := s.current.results.Peek(prompt)
		if size += len(prompt) + len(text); size > MaxResults {
			break
		}
		snap.Results = append(snap.Results, Result{Prompt: prompt, Text: text})
	}
	slices.Reverse(snap.Results)
	return snap
}

// restore replaces the conversation, with store.mu held. What of the model it needs is loaded from now on, unless that is here or under way; what was
// computed came with the copy.
func (s *Session) restore(snap Snapshot, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := conversation{begun: true, copies: s.current.copies + 1, ready: s.current.ready, owed: s.current.owed, at: snap.At, results: s.store.newResults()}
	if !s.current.begun {
		next.ready = now.Add(s.stream.Slice())
		next.owed = true
	}
	for _, p := range snap.Recent {
		next.history.add(p)
	}
	for _, r := range snap.Results {
		next.results.Add(r.Prompt, r.Text)
	}
	s.current = next
	s.passedOver = false
}

// behind is whether the conversation stands before a turn.
func (s *Session) behind(turn uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.current.begun || s.current.at.Turn < turn
}

// loading is how long it takes until the session's part of the model is here.
func (s *Session) loading(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(0, s.current.ready.Sub(now))
}
