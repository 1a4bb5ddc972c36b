package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"connectrpc.com/connect"
	"github.com/jonboulle/clockwork"
	"golang.org/x/sync/errgroup"

	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	"github.com/smaran-v2/smaran/services/internal/httpserver"
	"github.com/smaran-v2/smaran/services/lifeline"
	"github.com/smaran-v2/smaran/services/telemetry"
	"github.com/smaran-v2/smaran/services/wire"
)

// controlGrace is how long the last answers of the control API, and of the page, may take to be sent.
const controlGrace = time.Second

type upCmd struct {
	Config     `embed:""`
	stageFlags `embed:""`
	JSON       bool `help:"Print one line of JSON, a fleet.v1 StatusResponse, once all is ready, and nothing else."`
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
	if err := errors.Join(c.Validate(), c.validate()); err != nil {
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
	ports, err := c.listen(ctx)
	if err != nil {
		return err
	}
	h, err := NewHouse(ctx, c.Config, ports.house(c.Beside), Options{
		Self: self, Environ: s.environ, Control: ports.controls[0].Addr().String(), Clock: clockwork.NewRealClock(), Log: log,
	})
	if err != nil {
		return errors.Join(err, ports.close())
	}
	servers := []server{}
	for i, service := range h.Services() {
		servers = append(servers, func(ctx context.Context) error {
			return httpserver.Serve(ctx, log, httpserver.Options{
				Name: "control", Listener: ports.controls[i], Handler: Handler(service), ShutdownGrace: controlGrace,
			})
		})
	}
	showing, over := context.WithCancel(ctx)
	defer over()
	if ports.page != nil {
		page, err := c.newStage(showing, s, h, ports, log)
		if err != nil {
			return errors.Join(err, h.Close(), ports.close())
		}
		servers = append(servers, page)
	}
	return serve(ctx, servers, func(ctx context.Context) error {
		// Changes that wait are answered before the servers end.
		err := c.run(ctx, s, h, ports, log)
		over()
		return errors.Join(err, h.Close())
	})
}

// server serves until its context ends.
type server func(context.Context) error

// serve has everything answer while run runs: the fleets can be watched, and ended, while they start. A server that fails ends run.
func serve(ctx context.Context, servers []server, run func(context.Context) error) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var serves errgroup.Group
	for _, one := range servers {
		serves.Go(func() error {
			err := one(serving)
			if err != nil {
				fail(err)
			}
			return err
		})
	}
	err := run(ctx)
	stop()
	return errors.Join(err, serves.Wait())
}

// run returns nil where the house was asked to end, at any time.
func (c *upCmd) run(ctx context.Context, s *invocation, h *House, ports *ports, log *slog.Logger) error {
	if ports.page != nil {
		if err := c.invite(s, ports, log); err != nil {
			return err
		}
	}
	err := h.Start(ctx)
	switch {
	case errors.Is(err, ErrClosed):
		return nil
	case ctx.Err() != nil:
		log.Info("going down before all was up", "cause", context.Cause(ctx))
		return nil
	case err != nil:
		return err
	}
	if err := c.announce(ctx, s.stdout, h); err != nil {
		return err
	}
	select {
	case <-h.Closed(): // Down
	case <-ctx.Done():
		log.Info("going down", "cause", context.Cause(ctx))
	}
	return nil
}

func (c *upCmd) announce(ctx context.Context, w io.Writer, h *House) error {
	var lanes []*fleetv1.StatusResponse
	for _, service := range h.Services() {
		res, err := service.Status(ctx, connect.NewRequest(&fleetv1.StatusRequest{}))
		if err != nil {
			return err
		}
		lanes = append(lanes, res.Msg)
	}
	if c.JSON {
		return writeJSON(w, lanes[0])
	}
	return banner(w, lanes)
}
