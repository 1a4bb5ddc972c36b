package fleet

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/jonboulle/clockwork"
	"golang.org/x/sync/errgroup"

	"github.com/smaran-v2/smaran/services/internal/httpserver"
	"github.com/smaran-v2/smaran/services/runinfo"
	"github.com/smaran-v2/smaran/services/stage"
	"github.com/smaran-v2/smaran/services/stage/director"
	"github.com/smaran-v2/smaran/services/stage/recording"
	"github.com/smaran-v2/smaran/services/stage/scene"
	"github.com/smaran-v2/smaran/services/wire"
)

// openStage has the page served, and the fleets watched, until ctx ends.
func (c *upCmd) openStage(ctx context.Context, s *invocation, serves *errgroup.Group, h *House, ports *ports, log *slog.Logger) error {
	clock := clockwork.NewRealClock()
	shown := scene.New(clock)
	asking := &http.Transport{}
	directs, err := director.New(director.Options{
		Venue: h, Scene: shown, Clock: clock, Log: log, HTTP: &http.Client{Transport: asking},
		Seed: h.Seed(), Calls: c.StageCalls, Rate: c.StageRate,
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	page, err := stage.New(stage.Options{Scene: shown, Doer: directs, Lanes: h.Lanes(), Token: c.StageToken, Log: log})
	if err != nil {
		return err
	}
	if c.Record != "" {
		recorder, err := c.record(ctx, s.args, clock.Now())
		if err != nil {
			return err
		}
		serves.Go(func() error {
			err := recorder.Run(ctx, shown)
			if err != nil {
				log.Error(err.Error()) // now, and not only at the end
			}
			return err
		})
	}
	serves.Go(func() error {
		defer asking.CloseIdleConnections()
		if err := directs.Run(ctx); ctx.Err() == nil {
			return fmt.Errorf("the stage: %w", err)
		}
		return nil
	})
	for _, o := range []httpserver.Options{
		{Name: "page", Listener: ports.page, Handler: page, ShutdownGrace: controlGrace},
		{Name: "crowds", Listener: ports.crowds, Handler: stage.CrowdHandler(directs), ShutdownGrace: controlGrace},
	} {
		serves.Go(func() error { return httpserver.Serve(ctx, log, o) })
	}
	return nil
}

// record begins a recording of what the page shows.
func (c *upCmd) record(ctx context.Context, args []string, now time.Time) (*recording.Recorder, error) {
	told := slices.Clone(args)
	for i := range told {
		if c.StageToken != "" && strings.HasSuffix(told[i], c.StageToken) {
			told[i] = strings.TrimSuffix(told[i], c.StageToken) + "TOKEN"
		}
	}
	header, err := recording.Describe(ctx, runinfo.Command("bin/"+wire.FleetProcess, told), now)
	if err != nil {
		return nil, err
	}
	return recording.Create(c.Record, header)
}

// invite says where the page is, and opens it where that was asked for.
func (c *upCmd) invite(s *invocation, url string, log *slog.Logger) error {
	if !c.JSON {
		if err := s.say("the page: %s", url); err != nil {
			return err
		}
	}
	if c.Open {
		if err := browse(s.environ, url); err != nil {
			log.Warn(fmt.Sprintf("%v: open %s yourself", err, url))
		}
	}
	return nil
}
