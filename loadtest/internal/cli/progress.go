package cli

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/smaran-v2/smaran/loadtest/internal/engine"
	"github.com/smaran-v2/smaran/loadtest/internal/figures"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// progress shows how far a batch is. step may be called from another goroutine.
type progress interface {
	begin(index, total int, s engine.Spec)
	step(engine.Progress)
	end(result *reportv1.Result, err error)
}

// newProgress is a bar on a terminal, and plain lines elsewhere.
func newProgress(w io.Writer) progress {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return &barProgress{w: w}
	}
	return &lineProgress{w: w}
}

// title names a run.
func title(index, total int, s engine.Spec) string {
	t := fmt.Sprintf("[%d/%d] %s, %s", index+1, total, s.Backend, s.Scenario.Name)
	if s.Repeat > 1 {
		t += fmt.Sprintf(", repeat %d", s.Repeat)
	}
	return t
}

// verdict is one line on a result.
func verdict(result *reportv1.Result, err error) string {
	switch {
	case result == nil:
		return fmt.Sprintf("failed: %v", err)
	case !result.GetValid():
		return "invalid: " + result.GetInvalidReasons()[0]
	}
	c := result.GetCounts()
	p99 := "–" // not 0 ms: there are too few samples for one
	if ms, ok := figures.Percentile(result, figures.Inference, 99); ok {
		p99 = fmt.Sprintf("%.0f ms", ms)
	}
	return fmt.Sprintf("%d requests, %d failed, %d cold starts, %d misroutes, %d dropped calls, inference p99 %s",
		result.GetLoad().GetRequests(), c[figures.RequestsFailed], c[figures.ColdStarts], c[figures.Misroutes], c[figures.DroppedCalls], p99)
}

// lineProgress writes a line when a run begins, at each new stage, and when it ends.
type lineProgress struct {
	mu    sync.Mutex
	w     io.Writer
	title string
	stage string
}

func (p *lineProgress) begin(index, total int, s engine.Spec) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.title, p.stage = title(index, total, s), ""
}

func (p *lineProgress) step(s engine.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.Stage == p.stage {
		return
	}
	p.stage = s.Stage
	fmt.Fprintf(p.w, "%s: %s\n", p.title, s.Stage) //nolint:errcheck // progress that nobody reads is no reason to stop
}

func (p *lineProgress) end(result *reportv1.Result, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.w, "%s: %s\n", p.title, verdict(result, err)) //nolint:errcheck // as above
}

// barProgress draws one bar a run, and leaves a line behind it.
type barProgress struct {
	mu    sync.Mutex
	w     io.Writer
	title string
	bar   *progressbar.ProgressBar
}

func (p *barProgress) begin(index, total int, s engine.Spec) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.title = title(index, total, s)
	p.bar = progressbar.NewOptions64(int64(s.Load.Warmup+s.Scenario.Duration),
		progressbar.OptionSetWriter(p.w), progressbar.OptionSetDescription(p.title), progressbar.OptionSetWidth(30),
		progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionSetPredictTime(false),
		progressbar.OptionSetElapsedTime(false),
	)
}

func (p *barProgress) step(s engine.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bar.Describe(p.title + ": " + s.Stage)
	if s.Total > 0 {
		_ = p.bar.Set64(int64(min(s.Done, s.Total-1))) // the bar is only for show
	}
}

func (p *barProgress) end(result *reportv1.Result, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.bar.Finish()                                          // as above
	fmt.Fprintf(p.w, "%s: %s\n", p.title, verdict(result, err)) //nolint:errcheck // as above
}
