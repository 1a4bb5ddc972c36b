package engine

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/smaran-v2/smaran/loadtest/internal/client"
	"github.com/smaran-v2/smaran/loadtest/internal/driver"
	"github.com/smaran-v2/smaran/loadtest/internal/plan"
	"github.com/smaran-v2/smaran/loadtest/internal/scenario"
	"github.com/smaran-v2/smaran/loadtest/internal/tally"
	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// ErrInterrupted says that ctx ended before the run did. The result beside it holds what was measured until then.
var ErrInterrupted = errors.New("interrupted")

// Run brings a fleet up, puts it under load, and takes it down. It fails where there is nothing to report: the load can't be
// planned, or the fleet does not start. Otherwise there is a result, valid or not, also beside ErrInterrupted.
func (e *Engine) Run(ctx context.Context, s Spec) (result *reportv1.Result, err error) {
	p, err := plan.New(s.load())
	if err != nil {
		return nil, err
	}
	e.progress(Progress{Stage: "starting the fleet"})
	fleet, err := e.Driver.Up(ctx, s.Fleet())
	if err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%w before the fleet was up: %w", ErrInterrupted, err) // which may hold what could not be taken down
		}
		return nil, err
	}
	defer func() {
		down, cancel := context.WithTimeout(context.WithoutCancel(ctx), downTime)
		defer cancel()
		if downErr := fleet.Down(down); downErr != nil {
			err = errors.Join(err, fmt.Errorf("take the fleet down: %w", downErr))
		}
	}()
	status, err := fleet.Status(ctx)
	if err != nil {
		return nil, err
	}
	r := &run{engine: e, spec: s, plan: p, fleet: fleet, before: status}
	return r.do(ctx)
}

func (e *Engine) progress(p Progress) {
	if e.Progress != nil {
		e.Progress(p)
	}
}

// run is one run while it goes on.
type run struct {
	engine *Engine
	spec   Spec
	plan   plan.Plan
	fleet  driver.Fleet
	before *fleetv1.StatusResponse

	epoch     time.Time
	callers   []*Caller
	recorders []*tally.Recorder
	transport *http.Transport
	dispatch  *dispatcher
}

// end is when the run is over, from its start, if nothing ends it before.
func (r *run) end() time.Duration { return r.plan.Load.Warmup + r.plan.Load.Duration }

func (r *run) do(ctx context.Context) (*reportv1.Result, error) {
	r.transport = NewTransport(r.plan.Load.Calls, r.engine.Dial)
	defer r.transport.CloseIdleConnections()
	measured := measurement{probe: probe(ctx, r.transport, r.before.GetSmaranUrl())}

	r.epoch = r.engine.Clock.Now()
	if err := r.makeCallers(); err != nil {
		return nil, err
	}
	requests, cutRequests := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cutRequests(nil)
	calls, endCalls := context.WithCancel(context.WithoutCancel(ctx))
	defer endCalls()
	var up sync.WaitGroup
	if !r.plan.Load.Headerless {
		for _, c := range r.callers {
			up.Go(func() { c.Run(calls) })
		}
	}

	pacing, stopPacing := context.WithCancelCause(ctx)
	defer stopPacing(nil)
	var paced sync.WaitGroup
	paced.Go(func() { r.dispatch.run(pacing, requests, r.plan.Actions) })
	paced.Go(func() {
		measured.events = doEvents(pacing, r.engine.Clock, r.epoch, r.plan.Load.Warmup, r.fleet, r.spec.Scenario.Events,
			r.engine.Log, func(e scenario.Event) { r.engine.progress(Progress{Stage: e.Name()}) })
	})
	measured.stopped, measured.fleetError = r.measure(ctx, &measured)
	measured.usage(r.engine.Phones)
	for _, c := range r.callers {
		c.Finish()
	}
	stopPacing(errRunOver)
	paced.Wait()
	measured.interrupted = ctx.Err() != nil
	r.awaitAnswers(ctx, cutRequests)
	endCalls()
	up.Wait()

	// The fleet may be gone, and ctx as well: what the fleet said at the start still holds then.
	final, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTime)
	defer cancel()
	status, err := r.fleet.Status(final)
	if err != nil {
		status = r.before
		measured.fleetError = errors.Join(measured.fleetError, err)
	}
	measured.status = status
	measured.records, measured.histograms = tally.Merge(r.recorders)
	if r.engine.Histograms != nil {
		r.engine.Histograms(r.spec, measured.histograms)
	}
	measured.lag, measured.dropped = r.dispatch.lag, r.dispatch.dropped.Load()
	result, err := r.result(measured)
	if err == nil && measured.interrupted {
		err = ErrInterrupted
	}
	return result, err
}

// makeCallers makes a caller for each session, and one recorder a core.
func (r *run) makeCallers() error {
	for range runtime.GOMAXPROCS(0) {
		r.recorders = append(r.recorders, tally.NewRecorder(r.plan.Load.Warmup, r.end(), r.engine.Live))
	}
	all := &Callers{
		Seed: r.plan.Load.Seed, BaseURLs: coordinators(r.before), Transport: r.transport,
		Headerless: r.plan.Load.Headerless, Behaviour: r.spec.Behaviour, Phones: r.engine.Phones,
		Clock: r.engine.Clock, Epoch: r.epoch, End: r.end(), Log: r.engine.Log, Tracer: r.engine.Tracer, Propagator: r.engine.Propagator,
	}
	for call, id := range r.plan.Sessions {
		c, err := all.Caller(call, id, r.recorders[call%len(r.recorders)])
		if err != nil {
			return err
		}
		r.callers = append(r.callers, c)
	}
	r.dispatch = newDispatcher(r.engine.Clock, r.epoch, r.plan.Load.Warmup, r.callers)
	return nil
}

// coordinators are the base URLs that requests go to in turn.
func coordinators(s *fleetv1.StatusResponse) []string {
	if urls := s.GetSmaranUrls(); len(urls) > 0 {
		return urls
	}
	return []string{s.GetSmaranUrl()}
}

// reportEvery is how often progress is told.
const reportEvery = 250 * time.Millisecond

// measure waits for the end of the run, and returns when that was. At the end of the warm-up it starts over what is counted of the
// generator itself.
func (r *run) measure(ctx context.Context, m *measurement) (time.Duration, error) {
	clock, warm := r.engine.Clock, false
	ticker := clock.NewTicker(reportEvery)
	defer ticker.Stop()
	for {
		now := clock.Since(r.epoch)
		if !warm && now >= r.plan.Load.Warmup {
			warm = true
			r.engine.Phones.ResetLag()
			m.usageBefore, m.usageErr = self()
		}
		if now >= r.end() {
			return r.end(), nil
		}
		if warm {
			r.engine.progress(Progress{Stage: "measuring", Done: now, Total: r.end()})
		} else {
			r.engine.progress(Progress{Stage: "warming up", Done: now, Total: r.end()})
		}
		timer := clock.NewTimer(r.end() - now)
		select {
		case <-ctx.Done():
			timer.Stop()
			return clock.Since(r.epoch), nil
		case <-r.fleet.Died():
			timer.Stop()
			return clock.Since(r.epoch), r.fleet.Err()
		case <-timer.Chan():
		case <-ticker.Chan():
			timer.Stop()
		}
	}
}

// awaitAnswers gives the last requests some time, and none where the run was interrupted.
func (r *run) awaitAnswers(ctx context.Context, cut context.CancelCauseFunc) {
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		r.dispatch.work.Wait()
	}()
	timer := r.engine.Clock.NewTimer(answerGrace)
	defer timer.Stop()
	select {
	case <-answered:
		return
	case <-timer.Chan():
		cut(client.ErrUnfinished)
	case <-ctx.Done():
		cut(client.ErrCutOff)
	}
	<-answered
}
