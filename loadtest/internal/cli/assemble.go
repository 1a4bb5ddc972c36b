package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/jonboulle/clockwork"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/smaran-v2/smaran/loadtest/internal/claims"
	"github.com/smaran-v2/smaran/loadtest/internal/report"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
	"github.com/smaran-v2/smaran/services/runinfo"
)

// begin describes a run that starts now.
func (f *loadFlags) begin(ctx context.Context, a *app, kind string) (*reportv1.Report, error) {
	run, err := runinfo.New(ctx, kind, a.args, f.Seed, f.Driver, f.Labels, clockwork.NewRealClock().Now())
	if err != nil {
		return nil, err
	}
	return &reportv1.Report{SchemaVersion: report.SchemaVersion, Run: run}, nil
}

// finish fills in what the results say.
func finish(r *reportv1.Report, results []*reportv1.Result, interrupted bool) {
	r.Results = results
	r.Run.Finished = timestamppb.New(clockwork.NewRealClock().Now())
	r.Run.Interrupted = interrupted
	for _, res := range results {
		for _, process := range [...]string{"mesh", "redis"} {
			// Ours are of the revision that is there already: a run in which one was known to be of another is invalid (package builds).
			if program, v, ok := strings.Cut(res.GetSettings()[process], " "); ok && program != "go" {
				r.Run.Versions[program] = v
			}
		}
	}
	r.Claims = claims.Evaluate(r)
}

// save writes the run's folder and says so.
func (a *app) save(dir string, r *reportv1.Report) error {
	if err := report.Save(dir, r); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.stdout, "\n%s and %s written to %s\n", report.JSONFile, report.HTMLFile, dir)
	return err
}

// folder is the run's own below --out.
func (f *loadFlags) folder(r *reportv1.Report) string {
	return filepath.Join(f.Out, r.GetRun().GetId())
}
