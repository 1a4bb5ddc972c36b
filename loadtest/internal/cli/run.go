package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/smaran-v2/smaran/loadtest/internal/engine"
	"github.com/smaran-v2/smaran/loadtest/internal/figures"
	"github.com/smaran-v2/smaran/loadtest/internal/report"
	"github.com/smaran-v2/smaran/loadtest/internal/scenario"
	"github.com/smaran-v2/smaran/loadtest/internal/tally"
	"github.com/smaran-v2/smaran/loadtest/internal/threshold"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

type runCmd struct {
	loadFlags `embed:""`
	Backend   names                 `help:"Backends, one after another; istio-hash:maglev takes another policy." default:"istio-hash" placeholder:"NAME,…"`
	Pods      int                   `help:"Pods the fleet starts with." default:"3"`
	Duration  time.Duration         `help:"Measured time, after the warm-up." default:"20s"`
	Event     []scenario.Event      `help:"What to do to the fleet, and when: 10s:scale=10, 5s:kill, 5s:kill=jarvis-1, stop, freeze, thaw, rollout, redis=down, redis=up, smaran=kill." sep:"none" placeholder:"EVENT"`
	Repeat    int                   `help:"Runs of each backend, interleaved." default:"1"`
	NoHeader  bool                  `help:"Send no x-call-session-id, to a fleet that lets such requests pass; no call is placed."`
	Threshold []threshold.Threshold `help:"Fail unless it holds, such as dropped_calls==0 or inference_p99_ms<400. Each run is judged by itself." sep:"none" placeholder:"EXPR"`
	JSON      string                `name:"json" help:"Write the report to F instead of a folder of its own." placeholder:"F"`
	HTML      string                `name:"html" help:"Write the page to F instead of a folder of its own." placeholder:"F"`
	HGRM      string                `name:"hgrm" help:"Write the latencies of all inferences to F as an HdrHistogram percentile distribution." placeholder:"F"`
}

// errRun is returned where a run was invalid or a threshold failed.
var errRun = errors.New("run failed")

// Validate fails with errUsage.
func (c *runCmd) Validate() error {
	switch {
	case c.Pods < 1:
		return fmt.Errorf("%w: --pods %d: want at least 1", errUsage, c.Pods)
	case c.Duration <= 0:
		return fmt.Errorf("%w: --duration %v: want more than 0s", errUsage, c.Duration)
	case c.Repeat < 1:
		return fmt.Errorf("%w: --repeat %d: want at least 1", errUsage, c.Repeat)
	}
	for _, e := range c.Event {
		if e.At >= c.Duration {
			return fmt.Errorf("%w: --event %v: the run ends at %v", errUsage, e, c.Duration)
		}
	}
	return errors.Join(c.loadFlags.Validate(), checkBackends(c.Backend))
}

// scenario is what the flags describe.
func (c *runCmd) scenario() scenario.Scenario {
	return scenario.Scenario{
		Name: "custom", Pods: c.Pods, Duration: c.Duration, Events: scenario.Sorted(c.Event), Headerless: c.NoHeader,
	}
}

// Run runs, judges and writes.
func (c *runCmd) Run(ctx context.Context, a *app) (failed error) {
	if err := c.checkFiles(); err != nil {
		return err
	}
	b, closeBatch, err := c.newBatch(ctx, a)
	if err != nil {
		return err
	}
	defer func() { failed = errors.Join(failed, closeBatch()) }()
	r, err := c.begin(ctx, a, "run")
	if err != nil {
		return err
	}
	var specs []engine.Spec
	for repeat := 1; repeat <= c.Repeat; repeat++ {
		for _, name := range c.Backend {
			specs = append(specs, c.spec(name, c.scenario(), repeat))
		}
	}
	var distributions bytes.Buffer
	b.histograms = func(s engine.Spec, h map[string]tally.Histogram) { writeHGRM(&distributions, s, h) }
	results, runErr := b.run(ctx, specs)
	if len(results) == 0 {
		return runErr
	}
	judged := c.judge(results)
	finish(r, results, errors.Is(runErr, engine.ErrInterrupted))
	// What nobody reads is kept all the same.
	return errors.Join(report.Table(a.stdout, r), c.showThresholds(a.stdout, results), c.write(a, r, distributions.Bytes()), runErr, judged)
}

// judge evaluates the thresholds, and says what failed.
func (c *runCmd) judge(results []*reportv1.Result) error {
	var why []string
	for _, res := range results {
		if !res.GetValid() {
			why = append(why, fmt.Sprintf("%s: invalid: %s", res.GetBackend(), strings.Join(res.GetInvalidReasons(), "; ")))
		}
		for _, t := range c.Threshold {
			judged := t.Judge(res)
			res.Thresholds = append(res.Thresholds, judged)
			if !judged.GetPassed() {
				why = append(why, fmt.Sprintf("%s: %s, found %s", res.GetBackend(), judged.GetExpression(), judged.GetFound()))
			}
		}
	}
	if len(why) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", errRun, strings.Join(why, "; "))
}

func (c *runCmd) showThresholds(w io.Writer, results []*reportv1.Result) error {
	for _, res := range results {
		for _, t := range res.GetThresholds() {
			word := "ok    "
			if !t.GetPassed() {
				word = "FAILED"
			}
			if _, err := fmt.Fprintf(w, "%s %s, repeat %d: %s, found %s\n", word, res.GetBackend(), res.GetRepeat(), t.GetExpression(), t.GetFound()); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeHGRM adds one run's distribution under a line that names it.
func writeHGRM(w *bytes.Buffer, s engine.Spec, h map[string]tally.Histogram) {
	inference, ok := h[figures.Inference]
	if !ok {
		return
	}
	fmt.Fprintf(w, "#[%s, repeat %d, %s]\n", s.Backend, s.Repeat, figures.Inference)
	_ = inference.WriteHGRM(w) // a buffer takes all
}
