package state

import (
	"errors"
	"fmt"
	"slices"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
)

// snapshotVersion is of jarvis.v1's Snapshot.
const snapshotVersion = 1

// ErrSnapshot is a copy that can't be read. The text says what was expected.
var ErrSnapshot = errors.New("not a snapshot of a session")

// Message is the snapshot as it travels.
func (s Snapshot) Message() *jarvisv1.Snapshot {
	m := &jarvisv1.Snapshot{Version: snapshotVersion, At: s.At.Message()}
	for _, p := range s.Recent {
		m.Recent = append(m.Recent, p.Message())
	}
	for _, r := range s.Results {
		m.Results = append(m.Results, &jarvisv1.Result{Prompt: r.Prompt, Text: r.Text})
	}
	return m
}

// ReadSnapshot fails with ErrSnapshot.
func ReadSnapshot(m *jarvisv1.Snapshot) (Snapshot, error) {
	if v := m.GetVersion(); v != snapshotVersion {
		return Snapshot{}, fmt.Errorf("%w: version %d, expected %d", ErrSnapshot, v, snapshotVersion)
	}
	if n := len(m.GetRecent()); n > MaxPoints {
		return Snapshot{}, fmt.Errorf("%w: %d points, expected %d at most", ErrSnapshot, n, MaxPoints)
	}
	s := Snapshot{At: ReadPoint(m.GetAt())}
	for _, p := range m.GetRecent() {
		s.Recent = append(s.Recent, ReadPoint(p))
	}
	if s.At.Turn > 0 && !slices.Contains(s.Recent, s.At) {
		return Snapshot{}, fmt.Errorf("%w: it stands at turn %d, which is not among its points", ErrSnapshot, s.At.Turn)
	}
	for _, r := range m.GetResults() {
		s.Results = append(s.Results, Result{Prompt: r.GetPrompt(), Text: r.GetText()})
	}
	return s, nil
}

// Message is the point as it travels between pods.
func (p Point) Message() *jarvisv1.Point {
	return &jarvisv1.Point{Turn: p.Turn, Checksum: uint64(p.Checksum)}
}

// ReadPoint is the inverse.
func ReadPoint(m *jarvisv1.Point) Point {
	return Point{Turn: m.GetTurn(), Checksum: Checksum(m.GetChecksum())}
}
