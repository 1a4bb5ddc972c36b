package engine

import (
	"fmt"
	"time"

	"github.com/smaran-v2/smaran/loadtest/internal/figures"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
	"github.com/smaran-v2/smaran/services/measure"
)

// invalid lists why a result must not be compared.
func (r *run) invalid(m measurement, out *reportv1.Result) []string {
	var why []string
	add := func(format string, args ...any) { why = append(why, fmt.Sprintf(format, args...)) }
	if m.interrupted {
		add("interrupted after %v of %v", (m.stopped - r.plan.Load.Warmup).Round(time.Millisecond), r.plan.Load.Duration)
	}
	if m.fleetError != nil {
		add("%v", m.fleetError)
	}
	if out.GetLoad().GetRequests() == 0 && !m.interrupted {
		add("no request was sent in the measured part")
	}
	if !r.plan.Load.Headerless && !m.cameUp() && !m.interrupted {
		add("no call came up")
	}
	if share := out.GetGenerator().GetLateShare(); share > figures.MaxLateShare {
		add("%.1f%% of the requests left more than %v late (allowed: %.0f%%): the generator fell behind; lower --rate or --calls",
			100*share, measure.LateBy, 100*figures.MaxLateShare)
	}
	if m.mediaLag.P99 > measure.LateBy {
		add("1%% of the callers' media left more than %v late (allowed: %v): the generator fell behind, and gaps may be its own", m.mediaLag.P99, measure.LateBy)
	}
	if m.mediaLag.Max > r.spec.GapThreshold {
		add("some of the callers' media left %v late, longer than the gap that counts as an interruption (%v): the generator stalled, and gaps may be its own",
			m.mediaLag.Max, r.spec.GapThreshold)
	}
	if planned := uint64(r.plan.Requests()); !m.interrupted && m.dropped > 0 && float64(m.dropped) > figures.MaxLateShare*float64(planned) {
		add("%d of %d requests were not sent because their callers had %d unanswered", m.dropped, planned, perCaller)
	}
	if m.usageErr != nil {
		add("%v", m.usageErr)
	}
	if n := len(r.spec.Scenario.Events); len(m.events) < n && !m.interrupted && m.fleetError == nil {
		add("%d of %d events were not begun: the one before took too long", n-len(m.events), n)
	}
	for _, e := range m.events {
		if e.Err != nil {
			add("event %s: %v", e.Event.Name(), e.Err)
		}
	}
	return why
}
