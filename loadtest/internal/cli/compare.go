package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/alecthomas/kong"

	"github.com/smaran-v2/smaran/loadtest/internal/engine"
	"github.com/smaran-v2/smaran/loadtest/internal/report"
	"github.com/smaran-v2/smaran/loadtest/internal/scenario"
	"github.com/smaran-v2/smaran/loadtest/internal/stats"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
	"github.com/smaran-v2/smaran/services/runinfo"
	"github.com/smaran-v2/smaran/services/smaran/backend"
	"github.com/smaran-v2/smaran/services/version"
)

type compareCmd struct {
	loadFlags `embed:""`
	Backend   names  `help:"Only these backends." aliases:"backends" placeholder:"NAME,…"`
	Scenario  names  `help:"Only these scenarios." placeholder:"NAME,…"`
	Repeat    int    `help:"Runs of each backend under each scenario; five or more for tight intervals." default:"2"`
	Baseline  string `help:"The backend that differences are taken from." default:"istio-hash"`
	Resume    string `help:"Go on in the folder of a compare that was interrupted, with its flags." placeholder:"DIR"`

	given []given
}

// Validate fails with errUsage. Kong calls it. What a resumed compare does is in its folder, and the flags beside --resume are judged by that.
func (c *compareCmd) Validate(k *kong.Context) error {
	c.given = givenTo(k)
	if c.Resume != "" {
		return nil
	}
	return c.validate()
}

func (c *compareCmd) validate() error {
	if c.Repeat < 1 {
		return fmt.Errorf("%w: --repeat %d: want at least 1", errUsage, c.Repeat)
	}
	_, err := scenario.Find(c.Scenario, c.pace())
	return errors.Join(c.loadFlags.Validate(), checkBackends(append(slices.Clone(c.Backend), c.Baseline)), err)
}

// backends are those asked for, or all, with both policies of the mesh's hash.
func (c *compareCmd) backends() []string {
	if len(c.Backend) > 0 {
		return c.Backend
	}
	out := allBackends()
	at := slices.Index(out, string(backend.IstioHash)) + 1
	return slices.Insert(out, at, string(backend.IstioHash)+":maglev")
}

// specs are all runs, interleaved: every backend meets a scenario before any meets it again, so that what drifts on the machine
// drifts for all.
func (c *compareCmd) specs() ([]engine.Spec, error) {
	scenarios, err := scenario.Find(c.Scenario, c.pace())
	if err != nil {
		return nil, err
	}
	var out []engine.Spec
	for repeat := 1; repeat <= c.Repeat; repeat++ {
		for _, s := range scenarios {
			for _, name := range c.backends() {
				out = append(out, c.spec(name, s, repeat))
			}
		}
	}
	return out, nil
}

// Run makes the runs that are not there yet, and reports on all.
func (c *compareCmd) Run(ctx context.Context, a *app) (failed error) {
	r, cells, err := c.open(ctx, a)
	if err != nil {
		return err
	}
	specs, err := c.specs()
	if err != nil {
		return err
	}
	had, missing, err := cells.split(specs)
	if err != nil {
		return err
	}
	if err := c.announce(a, specs, missing); err != nil {
		return err
	}
	var runErr error
	if len(missing) > 0 {
		b, closeBatch, err := c.newBatch(ctx, a)
		if err != nil {
			return err
		}
		defer func() { failed = errors.Join(failed, closeBatch()) }()
		if c.Resume == "" {
			if err := cells.create(c, r.GetRun()); err != nil {
				return err
			}
		}
		b.each, b.had = cells.save, had
		var made []*reportv1.Result
		made, runErr = b.run(ctx, missing)
		had = append(had, made...)
	}
	interrupted := errors.Is(runErr, engine.ErrInterrupted)
	if len(had) == 0 {
		if c.Resume == "" {
			cells.discard()
		}
		return runErr
	}
	finish(r, inOrder(specs, had), interrupted)
	r.Comparisons = stats.Compare(c.Seed, r.GetResults(), c.Baseline)
	if err := errors.Join(report.Table(a.stdout, r), a.save(cells.dir, r)); err != nil || !interrupted && !errors.Is(runErr, errStopped) {
		return errors.Join(err, runErr)
	}
	_, err = fmt.Fprintf(a.stdout, "go on with: bin/loadtest compare --resume %s\n", cells.dir)
	return errors.Join(err, runErr)
}

// open names a folder of its own, which is made when the first run begins, or takes up the one to resume together with its flags.
func (c *compareCmd) open(ctx context.Context, a *app) (*reportv1.Report, *cells, error) {
	if c.Resume != "" {
		cells := &cells{dir: filepath.Clean(c.Resume)}
		run := &reportv1.Run{}
		if err := cells.load(c, run); err != nil {
			return nil, nil, err
		}
		if then, now := run.GetVersions()[runinfo.Program], version.String(); then != now {
			return nil, nil, fmt.Errorf("%w: %s was begun by build %s, this is %s: their runs do not compare; begin a new one", errResume, cells.dir, then, now)
		}
		if err := errors.Join(checkGiven(c.given, cells.dir), c.checkDriver()); err != nil {
			return nil, nil, err
		}
		return &reportv1.Report{SchemaVersion: report.SchemaVersion, Run: run}, cells, nil
	}
	r, err := c.begin(ctx, a, "compare")
	if err != nil {
		return nil, nil, err
	}
	return r, &cells{dir: c.folder(r)}, nil
}

func (c *compareCmd) announce(a *app, all, missing []engine.Spec) error {
	_, err := fmt.Fprintf(a.stdout, "%d runs of %d backends, %d still to make: about %v\n",
		len(all), len(c.backends()), len(missing), estimate(missing))
	return err
}

// inOrder sorts results as the specs are.
func inOrder(specs []engine.Spec, results []*reportv1.Result) []*reportv1.Result {
	place := map[string]int{}
	for i, s := range specs {
		place[cellName(s.Scenario.Name, s.Backend, s.Repeat)] = i
	}
	slices.SortStableFunc(results, func(x, y *reportv1.Result) int {
		return place[nameOf(x)] - place[nameOf(y)]
	})
	return results
}
