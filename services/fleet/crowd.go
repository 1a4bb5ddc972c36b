package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/smaran-v2/smaran/services/fleet/internal/proc"
	"github.com/smaran-v2/smaran/services/version"
)

const (
	stageName = "stage"
	crowdName = "crowd"
	// crowdProgram is a module of its own, which a fleet does without.
	crowdProgram   = "loadtest"
	crowdMemoryMiB = 256
)

var errNoStage = errors.New("there is no crowd: there is no stage for it to attach to")

// crowd is a lane's callers: a process that attaches to the stage and does what it is told there. It outlasts the lane's fleets.
type crowd struct {
	service
	// missing is why there is none.
	missing error
}

// newCrowd starts nothing.
func (h *House) newCrowd(l *lane) *crowd {
	if h.cfg.Crowds == "" {
		return &crowd{missing: errNoStage}
	}
	path, err := beside(l.cfg.programDir(h.options.Self), crowdProgram)
	if err != nil {
		return &crowd{missing: fmt.Errorf("there is no crowd: %w", err)}
	}
	supervised := &supervision{
		spawner: h.spawner, clock: h.options.Clock, restartAfter: l.cfg.RestartAfter, startTimeout: l.cfg.StartTimeout,
		notices: l.notices, changed: h.board.announce,
	}
	spec := proc.Spec{
		Path: path,
		Args: []string{"crowd", "--stage", h.cfg.Crowds, "--lane", l.id},
		Env:  environment(h.options.Environ).inherited().with(goLimits(crowdMemoryMiB)),
		Log:  h.dir.log(crowdName + "-" + l.id),
	}
	// It serves nobody: whether it does its part is seen at the stage, where it attaches.
	serves := func(context.Context) error { return nil }
	return &crowd{service: service{
		member: newMember(supervised, crowdName, spec, serves, nobody{}), kind: kindGo, version: version.String(),
	}}
}

// runs is whether there is a crowd, up or about to start anew.
func (c *crowd) runs() bool { return c.member != nil }

// startCrowd starts it, or says why there is none where there should be one. The fleet is worth having without it.
func (l *lane) startCrowd(ctx context.Context) error {
	switch {
	case l.crowd.runs():
		if err := l.house.launch(l.crowd.member); err != nil {
			return err
		}
		_ = l.house.board.await(ctx, func() (bool, error) { return l.crowd.member.serving(0) }) // the notices have what went wrong
	case !errors.Is(l.crowd.missing, errNoStage):
		l.notices.add(slog.LevelWarn, l.crowd.missing.Error())
	}
	return nil
}
