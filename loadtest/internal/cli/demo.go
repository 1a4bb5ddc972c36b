package cli

import (
	"context"
	"errors"

	"github.com/smaran-v2/smaran/loadtest/internal/engine"
	"github.com/smaran-v2/smaran/loadtest/internal/report"
	"github.com/smaran-v2/smaran/loadtest/internal/scenario"
)

type demoCmd struct {
	loadFlags `embed:""`
	Backend   names `help:"Only these backends." placeholder:"NAME,…"`
}

// Run runs each backend once, each on a fleet of its own.
func (c *demoCmd) Run(ctx context.Context, a *app) (failed error) {
	backends := c.Backend
	if len(backends) == 0 {
		backends = allBackends()
	}
	if err := checkBackends(backends); err != nil {
		return err
	}
	b, closeBatch, err := c.newBatch(ctx, a)
	if err != nil {
		return err
	}
	defer func() { failed = errors.Join(failed, closeBatch()) }()
	r, err := c.begin(ctx, a, "demo")
	if err != nil {
		return err
	}
	var specs []engine.Spec
	for _, name := range backends {
		specs = append(specs, c.spec(name, scenario.Demo(c.pace()), 1))
	}
	results, runErr := b.run(ctx, specs)
	if len(results) == 0 {
		return runErr
	}
	finish(r, results, errors.Is(runErr, engine.ErrInterrupted))
	return errors.Join(report.Table(a.stdout, r), a.save(c.folder(r), r), runErr)
}
