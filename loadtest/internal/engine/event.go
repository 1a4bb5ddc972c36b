package engine

import (
	"time"

	"github.com/smaran-v2/smaran/loadtest/internal/moves"
	"github.com/smaran-v2/smaran/loadtest/internal/tally"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// event is one event of the report. Times are from the start of measuring.
func event(e done, m moves.Moved, counts map[string]uint64, from time.Duration) *reportv1.Event {
	out := &reportv1.Event{
		Name: e.Event.Name(), Pod: e.Pod,
		PlannedMs: tally.Millis(e.Planned - from), StartedMs: tally.Millis(e.Started - from), FinishedMs: tally.Millis(e.Finished - from),
		ObservedSessions: m.Observed, MovedSessions: m.Moved, DetouredSessions: m.Detoured, UnobservedSessions: m.Unobserved,
		PredictedMoved: m.PredictedMoved, Mispredicted: m.Mispredicted, MinimalShare: m.MinimalShare, Counts: counts,
		SessionsByMoves: m.ByMoves,
	}
	if e.Err != nil {
		out.Error = e.Err.Error()
	}
	if !m.Window.Empty() {
		out.SettledFromMs, out.SettledToMs = tally.Millis(m.Window.From-from), tally.Millis(m.Window.To-from)
	}
	for _, v := range m.Changes {
		healthy := len(v.Set.Hosts())
		out.Changes = append(out.Changes, &reportv1.EndpointChange{
			AtMs: tally.Millis(v.At - from), Version: v.Number, Healthy: uint32(healthy), Draining: uint32(len(v.Set.Endpoints) - healthy),
		})
	}
	return out
}
