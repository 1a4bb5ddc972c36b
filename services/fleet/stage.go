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

	"github.com/smaran-v2/smaran/services/internal/browse"
	"github.com/smaran-v2/smaran/services/runinfo"
	"github.com/smaran-v2/smaran/services/stage"
	"github.com/smaran-v2/smaran/services/stage/director"
	"github.com/smaran-v2/smaran/services/stage/recording"
	"github.com/smaran-v2/smaran/services/stage/scene"
	"github.com/smaran-v2/smaran/services/wire"
)

// newStage is the page of a house, and what fills it. The returned function serves it until ctx ends, and has to be called. What is recorded
// ends where showing does.
func (c *upCmd) newStage(showing context.Context, s *invocation, h *House, ports *ports, log *slog.Logger) (serve func(context.Context) error, err error) {
	clock := clockwork.NewRealClock()
	shown := scene.New(clock)
	asking := &http.Transport{}
	directs, err := director.New(director.Options{
		Venue: h, Scene: shown, Clock: clock, Log: log, HTTP: &http.Client{Transport: asking},
		Seed: h.Seed(), Calls: c.StageCalls, Rate: c.StageRate,
	})
	if err != nil {
		return nil, fmt.Errorf("%w: --stage-calls %d --stage-rate %g: %w", ErrConfig, c.StageCalls, c.StageRate, err)
	}
	recorder, err := c.record(showing, s.args, clock.Now())
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		defer asking.CloseIdleConnections()
		return stage.Serve(ctx, stage.Server{
			Options:  stage.Options{Scene: shown, Doer: directs, Lanes: h.Lanes(), Token: c.StageToken, Log: log},
			Listener: ports.page, Crowds: ports.crowds, Director: directs, Recorder: recorder, Over: showing.Done(), Grace: controlGrace,
		})
	}, nil
}

// record begins a recording of what the page shows; nil: none was asked for.
func (c *upCmd) record(ctx context.Context, args []string, now time.Time) (*recording.Recorder, error) {
	if c.Record == "" {
		return nil, nil
	}
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
func (c *upCmd) invite(s *invocation, ports *ports, log *slog.Logger) error {
	url := stage.URL(ports.page.Addr(), c.StageToken)
	if !c.JSON {
		if err := s.say("the page: %s", url); err != nil {
			return err
		}
	}
	if c.Open {
		if err := browse.Open(s.environ, url); err != nil {
			log.Warn(fmt.Sprintf("%v: open %s yourself", err, url))
		}
	}
	return nil
}
