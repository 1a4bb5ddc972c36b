package engine

import (
	"time"

	"github.com/smaran-v2/smaran/loadtest/internal/driver"
	"github.com/smaran-v2/smaran/loadtest/internal/moves"
	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/mesh"
	"github.com/smaran-v2/smaran/services/smaran/backend"
)

// movesInput is the measurement as package moves needs it.
func (r *run) movesInput(m measurement, from, to time.Duration) moves.Input {
	in := moves.Input{
		Inferences: m.records.Inferences, From: from, To: to, Margin: r.settleMargin(m.status),
		History: history(m.status.GetHistory(), r.epoch), Predict: predictor(r.spec.Backend, m.status),
	}
	for _, id := range r.plan.Sessions {
		in.Sessions = append(in.Sessions, string(id))
	}
	for _, e := range m.events {
		in.Steps = append(in.Steps, moves.Step{Start: e.Started, Finish: e.Finished})
	}
	if r.plan.Load.Headerless { // what carries no session follows no prediction
		in.Predict = nil
	}
	return in
}

// predictor is the algorithm behind a backend, nil where its choice can't be computed from the endpoints.
func predictor(backendName string, s *fleetv1.StatusResponse) moves.Predictor {
	name, _ := driver.SplitBackend(backendName)
	algorithm, ok := backend.Name(name).Algorithm(mesh.Policy(s.GetPolicy()))
	if !ok {
		return nil
	}
	return moves.Predict(algorithm, affinity.Options{MinRingSize: s.GetRingSize()})
}
