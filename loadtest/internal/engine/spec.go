package engine

import (
	"context"
	"log/slog"
	"net"
	"time"

	"github.com/jonboulle/clockwork"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/smaran-v2/smaran/loadtest/internal/driver"
	"github.com/smaran-v2/smaran/loadtest/internal/plan"
	"github.com/smaran-v2/smaran/loadtest/internal/scenario"
	"github.com/smaran-v2/smaran/loadtest/internal/tally"
)

// Spec is one run.
type Spec struct {
	// Backend as on the command line.
	Backend  string
	Scenario scenario.Scenario
	// Repeat counts from 1.
	Repeat int
	// Load of the run; its duration and headerlessness are the scenario's.
	Load plan.Load
	// Behaviour of its callers.
	Behaviour
	// Mesh, Redis, SessionStore, Grace and SecondWay as in driver.Spec.
	Mesh, Redis, SessionStore string
	Grace, SecondWay          time.Duration
}

// Fleet is what the spec needs running.
func (s Spec) Fleet() driver.Spec {
	return driver.Spec{
		Backend: s.Backend, Pods: s.Scenario.Pods, Mesh: s.Mesh, Redis: s.Redis, Seed: s.Load.Seed, Lenient: s.Scenario.Headerless,
		SessionStore: s.SessionStore, Grace: s.Grace, SecondWay: s.SecondWay,
	}
}

// Sessions are those of the run's callers; none where its load can't be planned.
func (s Spec) Sessions() []string {
	p, err := plan.New(s.load())
	if err != nil {
		return nil
	}
	var out []string
	for _, id := range p.Sessions {
		out = append(out, string(id))
	}
	return out
}

// load is the spec's load with what the scenario decides.
func (s Spec) load() plan.Load {
	l := s.Load
	l.Duration, l.Headerless = s.Scenario.Duration, s.Scenario.Headerless
	return l
}

// Engine runs specs, one at a time.
type Engine struct {
	Driver driver.Driver
	// Phones makes the callers' ends of calls.
	Phones Switchboard
	// Dial, optional, connects to the coordinator.
	Dial  func(ctx context.Context, network, address string) (net.Conn, error)
	Clock clockwork.Clock
	Log   *slog.Logger
	// Histograms, optional, is given a run's histograms in full, by their names in report.v1, which keeps coarser ones.
	Histograms func(Spec, map[string]tally.Histogram)
	// Live, optional, is told of what callers see as it comes.
	Live tally.Observer
	// Tracer and Propagator, optional, make a trace of each call.
	Tracer     trace.TracerProvider
	Propagator propagation.TextMapPropagator
	// Progress, optional, is told what the run is doing, from a goroutine of the run.
	Progress func(Progress)
}

// Progress is where a run is.
type Progress struct {
	// Stage is a few words: starting the fleet, warming up, measuring, the event under way.
	Stage string
	// Done and Total are times of the warm-up and the measured part together; Total is 0 before they begin.
	Done, Total time.Duration
}

// Tolerances of a run. They are stated in docs/measurement.md.
const (
	// perCaller bounds a caller's unanswered requests. A request that is due beyond it is dropped and counted.
	perCaller = 16
	// answerGrace is how long the last requests may take once the run is over.
	answerGrace = 5 * time.Second
	// downTime bounds taking the fleet down.
	downTime = time.Minute
)
