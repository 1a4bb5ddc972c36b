package conduct

import (
	"errors"
	"fmt"

	"github.com/smaran-v2/smaran/loadtest/internal/engine"
	"github.com/smaran-v2/smaran/loadtest/internal/tally"
	conductorv1 "github.com/smaran-v2/smaran/proto/conductor/v1"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// toOutcome is what an engine's run brought.
func toOutcome(r *reportv1.Result, histograms map[string]tally.Histogram, runErr error) (*conductorv1.Outcome, error) {
	out := &conductorv1.Outcome{Result: r, Histograms: map[string][]byte{}, Interrupted: errors.Is(runErr, engine.ErrInterrupted)}
	if runErr != nil {
		out.Error = runErr.Error()
	}
	for name, h := range histograms {
		raw, err := h.MarshalBinary()
		if err != nil {
			return nil, fmt.Errorf("encode the histogram %s: %w", name, err)
		}
		out.Histograms[name] = raw
	}
	return out, nil
}

// fromOutcome is the other way round. The run's own error becomes engine.ErrInterrupted or ErrGenerator.
func fromOutcome(o *conductorv1.Outcome) (r *reportv1.Result, histograms map[string]tally.Histogram, err error) {
	histograms = map[string]tally.Histogram{}
	for name, raw := range o.GetHistograms() {
		var h tally.Histogram
		if err := h.UnmarshalBinary(raw); err != nil {
			return nil, nil, fmt.Errorf("%w: its histogram %s: %w", ErrGenerator, name, err)
		}
		histograms[name] = h
	}
	switch {
	case o.GetInterrupted():
		err = engine.ErrInterrupted
	case o.GetError() != "":
		err = fmt.Errorf("%w: %s", ErrGenerator, o.GetError())
	case o.GetResult() == nil:
		err = fmt.Errorf("%w: it ended without a result", ErrGenerator)
	}
	return o.GetResult(), histograms, err
}
