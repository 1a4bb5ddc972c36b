package crowd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"os"

	"github.com/jonboulle/clockwork"

	"github.com/smaran-v2/smaran/loadtest/internal/engine"
	"github.com/smaran-v2/smaran/loadtest/internal/live"
	"github.com/smaran-v2/smaran/loadtest/internal/peer"
	"github.com/smaran-v2/smaran/services/lifeline"
	"github.com/smaran-v2/smaran/services/telemetry"
	"github.com/smaran-v2/smaran/services/version"
)

// Cmd is `loadtest crowd`.
type Cmd struct {
	Stage  string `help:"Where the stage waits for crowds." required:"" placeholder:"URL"`
	Lane   string `help:"The stage's lane whose callers these are, such as a." required:"" placeholder:"ID"`
	Smaran string `help:"Where the callers call; default: what the stage says." placeholder:"URL"`

	// A pod that dies is told of at once by the event stream, so the watchdog is for a frozen one; and a machine that shows a page besides may
	// let a living pod wait for longer than a run's callers would. A redial that nobody needed puts a call away from its session.
	engine.Behaviour `embed:"" set:"watchdog=1s"`

	MediaAddress netip.Addr `help:"Address that calls are made from, such as a pod's own." default:"127.0.0.1" placeholder:"IP"`
	Metrics      string     `help:"Shows Prometheus what callers see, at this address, such as 127.0.0.1:9464; default: nowhere." placeholder:"ADDR"`
}

// Validate fails with engine.ErrUsage. Kong calls it.
func (c *Cmd) Validate() error {
	errs := []error{c.Check(), checkURL("--stage", c.Stage)}
	if c.Smaran != "" {
		errs = append(errs, checkURL("--smaran", c.Smaran))
	}
	return errors.Join(errs...)
}

func checkURL(flag, value string) error {
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("%w: %s %s: want a URL such as http://127.0.0.1:8090", engine.ErrUsage, flag, value)
	}
	return nil
}

// Run obeys the stage until ctx ends, or the process that started this one. It fails with ErrReplaced.
func (c *Cmd) Run(ctx context.Context, tele *telemetry.Telemetry, log *slog.Logger) error {
	ctx, err := lifeline.Context(ctx, os.Environ())
	if err != nil {
		return err
	}
	api, err := peer.NewAPI(peer.APIOptions{Log: log, Local: []netip.Addr{c.MediaAddress}})
	if err != nil {
		return fmt.Errorf("make the callers' phones: %w", err)
	}
	defer api.Close()
	crowd := &Crowd{
		Stage: c.Stage, Lane: c.Lane, Version: version.String(), Smaran: c.Smaran, Behaviour: c.Behaviour, Phones: engine.Pion{API: api},
		Tracer: tele.Tracer, Propagator: tele.Propagator, Clock: clockwork.NewRealClock(), Log: log,
	}
	if c.Metrics != "" {
		crowd.Live = live.New(tele.Registry)
		stop, err := live.Serve(ctx, c.Metrics, tele.Registry, log)
		if err != nil {
			return err
		}
		defer stop()
	}
	return crowd.Run(ctx)
}
