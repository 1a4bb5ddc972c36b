package conduct

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/smaran-v2/smaran/loadtest/internal/client"
	"github.com/smaran-v2/smaran/loadtest/internal/engine"
	"github.com/smaran-v2/smaran/loadtest/internal/plan"
	"github.com/smaran-v2/smaran/loadtest/internal/scenario"
	conductorv1 "github.com/smaran-v2/smaran/proto/conductor/v1"
)

// assignment is a run as it is told to a generator. What only the conductor needs (mesh, redis, session store, grace, the estimate) stays with it.
func assignment(s engine.Spec) *conductorv1.Assignment {
	out := &conductorv1.Assignment{
		Backend: s.Backend, Scenario: s.Scenario.Name, Pods: uint32(s.Scenario.Pods), Duration: durationpb.New(s.Scenario.Duration),
		Headerless: s.Scenario.Headerless, Repeat: uint32(s.Repeat),
		Calls: uint32(s.Load.Calls), Rate: s.Load.Rate, CallRate: s.Load.CallRate, Warmup: durationpb.New(s.Load.Warmup), Seed: s.Load.Seed,
		OnMisroute: string(s.OnMisroute), GapThreshold: durationpb.New(s.GapThreshold), Watchdog: durationpb.New(s.Watchdog),
		RedialJitter: durationpb.New(s.RedialJitter),
	}
	for _, e := range s.Scenario.Events {
		out.Events = append(out.Events, e.String())
	}
	return out
}

// spec is the run that an assignment describes. It fails with scenario.ErrEvent for events of another grammar than this build's.
func spec(a *conductorv1.Assignment) (engine.Spec, error) {
	out := engine.Spec{
		Backend: a.GetBackend(), Repeat: int(a.GetRepeat()),
		Scenario: scenario.Scenario{
			Name: a.GetScenario(), Pods: int(a.GetPods()), Duration: a.GetDuration().AsDuration(), Headerless: a.GetHeaderless(),
		},
		Load: plan.Load{
			Calls: int(a.GetCalls()), Rate: a.GetRate(), CallRate: a.GetCallRate(), Warmup: a.GetWarmup().AsDuration(), Seed: a.GetSeed(),
		},
		Behaviour: engine.Behaviour{
			OnMisroute: client.OnMisroute(a.GetOnMisroute()), GapThreshold: a.GetGapThreshold().AsDuration(),
			Watchdog: a.GetWatchdog().AsDuration(), RedialJitter: a.GetRedialJitter().AsDuration(),
		},
	}
	for _, text := range a.GetEvents() {
		e, err := scenario.ParseEvent(text)
		if err != nil {
			return engine.Spec{}, fmt.Errorf("read the assignment: %w", err)
		}
		out.Scenario.Events = append(out.Scenario.Events, e)
	}
	return out, nil
}

func toProgress(p engine.Progress) *conductorv1.Progress {
	out := &conductorv1.Progress{Stage: p.Stage}
	if p.Total > 0 {
		out.Done, out.Total = durationpb.New(p.Done), durationpb.New(p.Total)
	}
	return out
}

func fromProgress(p *conductorv1.Progress) engine.Progress {
	out := engine.Progress{Stage: p.GetStage()}
	if p.GetTotal() != nil {
		out.Done, out.Total = p.GetDone().AsDuration(), max(p.GetTotal().AsDuration(), time.Nanosecond)
	}
	return out
}
