package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/smaran-v2/smaran/services/internal/httpserver"
	"github.com/smaran-v2/smaran/services/lifeline"
	"github.com/smaran-v2/smaran/services/telemetry"
	"github.com/smaran-v2/smaran/services/wire"
)

// controlGrace is how long the last answers of the control API may take to be sent.
const controlGrace = time.Second

type upCmd struct {
	Config `embed:""`
	JSON   bool `help:"Print one line of JSON, a fleet.v1 StatusResponse, once all is ready, and nothing else."`
}

// Run is in the foreground until a signal, the end of its parent, or Down.
func (c *upCmd) Run(ctx context.Context, s *invocation) (err error) {
	ctx, err = lifeline.Context(ctx, s.environ)
	if err != nil {
		return err
	}
	// A terminal that is closed ends the fleet like a Ctrl-C in it.
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGHUP)
	defer stop()
	if err := c.Validate(); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("where this program is: %w", err)
	}
	log, err := telemetry.Logger(telemetry.Options{Service: wire.FleetProcess, Level: c.LogLevel, Format: "text", Out: s.stderr})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	listener, err := httpserver.Listen(ctx, c.Control)
	if err != nil {
		if errors.Is(err, syscall.EADDRINUSE) {
			return fmt.Errorf("%w: another fleet may run: see it with fleet ps, end it with fleet down, or choose another address with --control", err)
		}
		return err
	}
	f, err := New(ctx, c.Config, Options{
		Self: self, Environ: s.environ, Control: listener.Addr().String(), Clock: clockwork.NewRealClock(), Log: log,
	})
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	return c.serve(ctx, s, f, listener, log)
}

// serve starts the fleet with its control API open, so that it can be watched, and ended, meanwhile.
func (c *upCmd) serve(ctx context.Context, s *invocation, f *Fleet, listener net.Listener, log *slog.Logger) error {
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServing()
	served := make(chan error, 1)
	go func() {
		served <- httpserver.Serve(serving, log, httpserver.Options{
			Name: "control", Listener: listener, Handler: Handler(f), ShutdownGrace: controlGrace,
		})
	}()
	err := c.run(ctx, s, f, log)
	// Changes that wait are answered before the server ends.
	err = errors.Join(err, f.Close())
	stopServing()
	return errors.Join(err, <-served)
}

// run returns nil where the fleet was asked to end, at any time.
func (c *upCmd) run(ctx context.Context, s *invocation, f *Fleet, log *slog.Logger) error {
	err := f.Start(ctx)
	switch {
	case errors.Is(err, ErrClosed):
		return nil
	case ctx.Err() != nil:
		log.Info("going down before all was up", "cause", context.Cause(ctx))
		return nil
	case err != nil:
		return err
	}
	if err := c.announce(s.stdout, f); err != nil {
		return err
	}
	select {
	case <-f.Closed(): // Down
	case <-ctx.Done():
		log.Info("going down", "cause", context.Cause(ctx))
	}
	return nil
}

func (c *upCmd) announce(w io.Writer, f *Fleet) error {
	if c.JSON {
		return writeJSON(w, f.Status())
	}
	return banner(w, f.Status())
}
