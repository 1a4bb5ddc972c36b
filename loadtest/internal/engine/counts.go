package engine

import (
	"time"

	"github.com/smaran-v2/smaran/loadtest/internal/figures"
	"github.com/smaran-v2/smaran/loadtest/internal/moves"
	"github.com/smaran-v2/smaran/loadtest/internal/tally"
)

// counts are those of the tally and those that come from the moves.
func (r *run) counts(m measurement, account moves.Account, from, to time.Duration) map[string]uint64 {
	out := tally.Counts(m.records, from, to, m.cameUp())
	if !r.plan.Load.Headerless {
		out[figures.SetupFailures] = tally.SetupFailures(m.records, to)
	}
	out[figures.ScatteredSessions] = account.Scattered
	var observed, moved uint64
	mispredicted := account.Mispredicted
	for _, s := range account.Steps {
		observed += s.Observed
		moved += s.Moved
		if s.Mispredicted != nil && s.Observed > 0 {
			sum := *s.Mispredicted
			if mispredicted != nil {
				sum += *mispredicted
			}
			mispredicted = &sum
		}
	}
	if observed > 0 {
		out[figures.MovedSessions] = moved
	}
	if mispredicted != nil {
		out[figures.Mispredicted] = *mispredicted
	}
	return out
}
