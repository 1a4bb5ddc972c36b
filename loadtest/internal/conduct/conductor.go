package conduct

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/smaran-v2/smaran/loadtest/internal/driver"
	"github.com/smaran-v2/smaran/loadtest/internal/engine"
	"github.com/smaran-v2/smaran/loadtest/internal/tally"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// ErrGenerator is returned for a run whose generator did not start, was lost, or could not make it.
var ErrGenerator = errors.New("the generator failed")

// Stage starts generators where they reach the fleet.
type Stage interface {
	// Start starts one for a run that takes about so long, and connects to it.
	Start(ctx context.Context, about time.Duration) (Player, error)
}

// Player is a generator that was started.
type Player interface {
	// Conn is the connection to it. Who serves it closes it.
	Conn() net.Conn
	// Words are the last that it logged, for errors; empty where there are none.
	Words(ctx context.Context) string
	// Remove ends it, and returns when nothing of it is left.
	Remove(ctx context.Context) error
}

// Observer is implemented by a Fleet that saw more of a run than the generator could.
type Observer interface {
	// Observe adds it to the result of a run with these sessions: settings, pods without traffic, and reasons for which it is invalid.
	Observe(ctx context.Context, sessions []string, r *reportv1.Result)
}

// Conductor makes runs, one at a time. It runs what engine.Engine does, with the generator elsewhere.
type Conductor struct {
	Driver driver.Driver
	Stage  Stage
	// Version of this build; a generator of another one is noted in the result.
	Version string
	Clock   clockwork.Clock
	Log     *slog.Logger
	// Histograms and Progress as in engine.Engine.
	Histograms func(engine.Spec, map[string]tally.Histogram)
	Progress   func(engine.Progress)
}

// Bounds of a run's two ends.
const (
	// stopGrace is how long a generator that was asked to stop may take for its outcome.
	stopGrace = 15 * time.Second
	// removeTime bounds removing a generator, and downTime taking the fleet down.
	removeTime = time.Minute
	downTime   = 2 * time.Minute
)

// Run brings a fleet up, has a generator put it under load, and takes it down. It fails as engine.Run does, and with ErrGenerator.
func (c *Conductor) Run(ctx context.Context, s engine.Spec) (result *reportv1.Result, err error) {
	c.progress(engine.Progress{Stage: "starting the fleet"})
	fleet, err := c.Driver.Up(ctx, s.Fleet())
	if err != nil {
		return nil, interruptedOr(ctx, err)
	}
	defer func() {
		down, cancel := context.WithTimeout(context.WithoutCancel(ctx), downTime)
		defer cancel()
		if downErr := fleet.Down(down); downErr != nil {
			err = errors.Join(err, fmt.Errorf("take the fleet down: %w", downErr))
		}
	}()
	c.progress(engine.Progress{Stage: "starting the generator"})
	player, err := c.Stage.Start(ctx, s.Load.Warmup+s.Scenario.Duration)
	if err != nil {
		return nil, interruptedOr(ctx, fmt.Errorf("%w to start: %w", ErrGenerator, err))
	}
	defer func() {
		remove, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTime)
		defer cancel()
		if removeErr := player.Remove(remove); removeErr != nil {
			err = errors.Join(err, fmt.Errorf("remove the generator: %w", removeErr))
		}
	}()
	return c.perform(ctx, s, fleet, player)
}

// perform serves the generator until it has sent its outcome.
func (c *Conductor) perform(ctx context.Context, s engine.Spec, fleet driver.Fleet, player Player) (*reportv1.Result, error) {
	p := newPerformance(c, s, fleet)
	outcome, err := p.over(ctx, player.Conn())
	if err != nil {
		words, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
		defer cancel()
		if said := player.Words(words); said != "" {
			err = fmt.Errorf("%w; it said last: %s", err, said)
		}
		if death := diedOf(fleet); death != nil { // the generator broke off because of it
			err = fmt.Errorf("%w; %w", death, err)
		}
		return nil, interruptedOr(ctx, err)
	}
	result, histograms, err := fromOutcome(outcome)
	if c.Histograms != nil && len(histograms) > 0 {
		c.Histograms(s, histograms)
	}
	if result == nil {
		return nil, interruptedOr(ctx, err)
	}
	if v := result.GetSettings()[SettingGenerator]; v != c.Version {
		result.Settings[SettingGenerator] = fmt.Sprintf("%s, not %s as who conducts it: load the images anew", v, c.Version)
	}
	death := diedOf(fleet)
	if errors.Is(err, engine.ErrInterrupted) && ctx.Err() == nil { // nobody asked for it here
		if err = nil; death == nil {
			err = fmt.Errorf("%w: it was ended from outside", ErrGenerator)
		}
	}
	if death != nil { // as engine.Engine has it: an invalid result, and no error
		result.Valid = false
		result.InvalidReasons = append([]string{death.Error()}, result.InvalidReasons...)
	}
	if o, ok := fleet.(Observer); ok {
		observe, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
		defer cancel()
		o.Observe(observe, s.Sessions(), result)
	}
	return result, err
}

// diedOf is why a fleet ended by itself, nil where it did not.
func diedOf(f driver.Fleet) error {
	select {
	case <-f.Died():
		return f.Err()
	default:
		return nil
	}
}

func (c *Conductor) progress(p engine.Progress) {
	if c.Progress != nil {
		c.Progress(p)
	}
}

// interruptedOr is the error of a run without a result. It holds err in any case, with which what could not be cleared away comes.
func interruptedOr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%w before there was anything to report: %w", engine.ErrInterrupted, err)
	}
	return err
}
