package experiments

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/smaran-v2/smaran/loadtest/internal/claims"
	"github.com/smaran-v2/smaran/loadtest/internal/cost"
	"github.com/smaran-v2/smaran/loadtest/internal/experiments/istio"
	"github.com/smaran-v2/smaran/loadtest/internal/report"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
	"github.com/smaran-v2/smaran/services/runinfo"
)

// ErrUnknown is returned for the number of a claim that no experiment exists for.
var ErrUnknown = errors.New("experiments: no experiment for that claim")

// Cmd is `loadtest claims`.
type Cmd struct {
	Only   []uint32         `placeholder:"N,…" help:"Put only these claims to the test."`
	Seed   uint64           `default:"1" help:"Makes every draw."`
	Out    string           `default:"out" type:"path" help:"Folder in which the run's own folder is made."`
	Width  int              `help:"Columns that the table may take; 0 is the terminal's width."`
	Prices cost.Assumptions `embed:"" prefix:"price-"`
	Mesh   Mesh             `embed:""`
}

// Run conducts the experiments, prints the claims and writes report.json and report.html.
func (c *Cmd) Run(ctx context.Context, stdout io.Writer) error {
	there, driver := all(), "local"
	if c.Mesh.Context != "" {
		there, driver = onMesh(), "kubernetes"
	}
	chosen, err := choose(there, c.Only)
	if err != nil {
		return err
	}
	run, err := runinfo.New(ctx, "claims", c.args(), c.Seed, driver, "", time.Now())
	if err != nil {
		return err
	}
	env := Env{Seed: c.Seed, Prices: c.Prices, Scratch: c.Out}
	if c.Mesh.Context != "" {
		version, mesh, err := c.Mesh.connect(ctx)
		if err != nil {
			return err
		}
		env.mesh, run.Versions["kubernetes"] = mesh, version
	}
	r := &reportv1.Report{SchemaVersion: report.SchemaVersion, Run: run}
	var failed []error
	for i, e := range chosen {
		d, _ := claims.Lookup(e.claim)
		if _, err := fmt.Fprintf(stdout, "[%d/%d] claim %d: %s\n", i+1, len(chosen), d.Number, d.Method); err != nil {
			return err
		}
		claim, err := e.conduct(ctx, env)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("claim %d: %w", e.claim, err))
			continue
		}
		r.Claims = append(r.Claims, claim)
	}
	r.Claims = claims.Evaluate(r)
	r.Run.Finished = timestamppb.Now()
	width := c.Width
	if width <= 0 {
		width = report.Width(stdout)
	}
	if err := report.ClaimsTable(stdout, width, r.GetClaims()); err != nil {
		return err
	}
	dir := filepath.Join(c.Out, r.GetRun().GetId())
	if err := report.Save(dir, r); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(stdout, "\n%s and %s written to %s\n", report.JSONFile, report.HTMLFile, dir); err != nil {
		return err
	}
	return errors.Join(failed...)
}

// args are the command line that conducts the same experiments again.
func (c *Cmd) args() []string {
	args := []string{"claims", "--seed", strconv.FormatUint(c.Seed, 10)}
	if len(c.Only) > 0 {
		var numbers []string
		for _, n := range c.Only {
			numbers = append(numbers, strconv.FormatUint(uint64(n), 10))
		}
		args = append(args, "--only", strings.Join(numbers, ","))
	}
	if c.Mesh.Context != "" {
		return append(args, c.Mesh.args()...)
	}
	if len(c.Only) == 0 || slices.Contains(c.Only, costClaim) {
		args = append(args, c.Prices.Args(pricePrefix)...)
	}
	return args
}

func choose(there []experiment, only []uint32) ([]experiment, error) {
	if len(only) == 0 {
		return there, nil
	}
	var out []experiment
	for _, n := range only {
		i := slices.IndexFunc(there, func(e experiment) bool { return e.claim == n })
		if i < 0 {
			return nil, fmt.Errorf("%w %d: there is one for each of %v; with --context, for each of %v", ErrUnknown, n, Claims(), istio.Claims())
		}
		out = append(out, there[i])
	}
	return out, nil
}
