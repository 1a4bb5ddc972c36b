package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/smaran-v2/smaran/loadtest/internal/builds"
	"github.com/smaran-v2/smaran/loadtest/internal/compose"
	"github.com/smaran-v2/smaran/loadtest/internal/conduct"
	"github.com/smaran-v2/smaran/loadtest/internal/engine"
	"github.com/smaran-v2/smaran/loadtest/internal/live"
	"github.com/smaran-v2/smaran/loadtest/internal/peer"
	"github.com/smaran-v2/smaran/loadtest/internal/tally"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
	"github.com/smaran-v2/smaran/services/version"
)

// runner makes one run. *engine.Engine is the real one.
type runner interface {
	Run(context.Context, engine.Spec) (*reportv1.Result, error)
}

// batch makes runs one after another.
type batch struct {
	runner   runner
	progress progress
	// each, optional, is given every result as it comes, except one that was cut short, by an interrupt or by whoever ended the generator: that
	// is to be made again.
	each func(engine.Spec, *reportv1.Result) error
	// histograms, optional, is given those of every run in full.
	histograms func(engine.Spec, map[string]tally.Histogram)
	// had, optional, are results of the same comparison that are there already.
	had []*reportv1.Result
	// roaming pods have other addresses in each run, as a cluster gives them out.
	roaming bool
	// anew is what makes anew the images that the services run from; empty where they are built with this program.
	anew string
}

// run returns the results so far, also beside an error. A run that could not be made does not stop the others, unless it
// was interrupted, or is hopeless: that fails with errStopped.
func (b *batch) run(ctx context.Context, specs []engine.Spec) ([]*reportv1.Result, error) {
	var out []*reportv1.Result
	var failed []error
	first := addresses{}
	check := func(r *reportv1.Result) {
		if !b.roaming {
			first.check(r)
		}
	}
	for _, r := range b.had {
		check(r)
	}
	for i, s := range specs {
		b.progress.begin(i, len(specs), s)
		result, err := b.runner.Run(ctx, s)
		check(result)
		if b.anew != "" && result != nil {
			builds.Check(result, version.String(), b.anew)
		}
		cut := errors.Is(err, engine.ErrInterrupted) || ctx.Err() != nil
		stop := !cut && hopeless(err) && i < len(specs)-1
		if stop && result == nil {
			b.progress.end(nil, errStopped) // why is said once, by the batch
		} else {
			b.progress.end(result, err)
		}
		if result != nil {
			out = append(out, result)
			if b.each != nil && !errors.Is(err, engine.ErrInterrupted) && !errors.Is(err, conduct.ErrGenerator) {
				if err := b.each(s, result); err != nil {
					return out, err
				}
			}
		}
		if cut {
			return out, exitError{interrupted(err), interruptedCode}
		}
		if stop {
			return out, errors.Join(append(failed, fmt.Errorf("%w: %w", errStopped, err))...)
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%s under %s: %w", s.Backend, s.Scenario.Name, err))
		}
	}
	return out, errors.Join(failed...)
}

// interrupted is the error of a batch whose last run ended with err: it names what could not be cleared away, besides the interrupt.
func interrupted(err error) error {
	const what = "%w: what was measured so far is written"
	if err == nil || err == engine.ErrInterrupted {
		return fmt.Errorf(what, engine.ErrInterrupted)
	}
	return fmt.Errorf(what+": %w", engine.ErrInterrupted, err)
}

// newBatch makes real runs. The closer ends what they share, and fails where it could not leave things as they were found.
func (f *loadFlags) newBatch(ctx context.Context, a *app) (*batch, func() error, error) {
	if f.Driver == kubernetesDriver {
		return f.newClusterBatch(ctx, a)
	}
	d, err := f.driver(a)
	if err != nil {
		return nil, nil, err
	}
	api, err := peer.NewAPI(peer.APIOptions{Log: a.log})
	if err != nil {
		return nil, nil, fmt.Errorf("make the callers' phones: %w", err)
	}
	p := newProgress(a.stderr)
	b := &batch{progress: p}
	if f.Driver == compose.Name {
		b.anew = "scripts/images"
	}
	e := &engine.Engine{
		Driver: d, Phones: engine.Pion{API: api}, Clock: clockwork.NewRealClock(), Log: a.log, Progress: p.step,
		Histograms: func(s engine.Spec, h map[string]tally.Histogram) {
			if b.histograms != nil {
				b.histograms(s, h)
			}
		},
	}
	b.runner = e
	stop, err := f.show(ctx, a, e)
	if err != nil {
		api.Close()
		return nil, nil, err
	}
	return b, func() error { stop(); api.Close(); return nil }, nil
}

// show has the runs be traced, and shown to Prometheus, where that is asked for.
func (f *loadFlags) show(ctx context.Context, a *app, e *engine.Engine) (stop func(), err error) {
	e.Tracer, e.Propagator = a.telemetry.Tracer, a.telemetry.Propagator
	if f.Metrics == "" {
		return func() {}, nil
	}
	e.Live = live.New(a.telemetry.Registry)
	return live.Serve(ctx, f.Metrics, a.telemetry.Registry, a.log)
}

// estimate is about how long runs take.
func estimate(specs []engine.Spec) time.Duration {
	var sum time.Duration
	for _, s := range specs {
		sum += s.Scenario.Overhead + s.Load.Warmup + s.Scenario.Duration
	}
	return sum.Round(time.Second)
}
