package engine

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/smaran-v2/smaran/loadtest/internal/figures"
	"github.com/smaran-v2/smaran/loadtest/internal/moves"
	"github.com/smaran-v2/smaran/loadtest/internal/peer"
	"github.com/smaran-v2/smaran/loadtest/internal/tally"
	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// measurement is all that a run brought, before it is accounted for.
type measurement struct {
	records    tally.Records
	histograms map[string]tally.Histogram
	events     []done
	status     *fleetv1.StatusResponse
	probe      string
	// stopped is when the run ended, from its start.
	stopped     time.Duration
	interrupted bool
	fleetError  error

	lag                     tally.Histogram
	mediaLag                peer.Lag
	dropped                 uint64
	usageBefore, usageAfter usage
	usageErr                error
}

// cameUp says that there was a call at all. Without one, nothing that can happen to a call was measured.
func (m *measurement) cameUp() bool { return len(m.records.Setups) > 0 }

// result accounts for a measurement.
func (r *run) result(m measurement) (*reportv1.Result, error) {
	from, to := r.plan.Load.Warmup, max(m.stopped, r.plan.Load.Warmup)
	calls := m.cameUp()
	account, err := moves.New(r.movesInput(m, from, to))
	if err != nil {
		return nil, err
	}
	spans := make([]tally.Span, len(m.events))
	for k, e := range m.events {
		spans[k] = tally.Span{From: e.Started, To: to}
		if k+1 < len(m.events) {
			spans[k].To = m.events[k+1].Started
		}
	}
	out := &reportv1.Result{
		Backend:    r.spec.Backend,
		Scenario:   r.spec.Scenario.Name,
		Repeat:     uint32(r.spec.Repeat),
		Seed:       r.plan.Load.Seed,
		Started:    timestamppb.New(r.epoch),
		WarmupMs:   tally.Millis(from),
		DurationMs: tally.Millis(to - from),
		Histograms: map[string]*reportv1.Histogram{},
		Timeline:   tally.Timeline(m.records, from, to),
		Pods:       tally.PodLoads(m.records, from, to),
		Errors:     tally.Errors(m.records, from, to),
		Settings:   r.settings(m),
		Generator:  r.generator(m, from, to),
	}
	out.Counts = r.counts(m, account, from, to)
	for name, h := range m.histograms {
		out.Histograms[name] = h.Proto()
	}
	if calls && len(spans) > 0 {
		moved, unmoved := tally.SplitGaps(m.records, spans)
		out.Histograms[figures.GapMoved], out.Histograms[figures.GapUnmoved] = moved.Proto(), unmoved.Proto()
	}
	requests := tally.Requests(m.records.Inferences, from, to)
	out.Load = &reportv1.Load{
		Calls: uint32(r.plan.Load.Calls), RequestedQps: r.plan.Load.Rate, Requests: requests,
		Sessions: uint64(len(r.plan.Sessions)), OnMisroute: string(r.spec.OnMisroute),
	}
	if seconds := (to - from).Seconds(); seconds > 0 {
		out.Load.ActualQps = float64(requests) / seconds
	}
	out.Denominators = &reportv1.Denominators{
		CallMinutes: r.plan.CallMinutes(to), Events: uint64(len(m.events)), Requests: requests,
		CallsPlaced: tally.Placed(m.records, from, to),
	}
	for k, e := range m.events {
		out.Events = append(out.Events, event(e, account.Steps[k], tally.Counts(m.records, spans[k].From, spans[k].To, calls), from))
	}
	out.InvalidReasons = r.invalid(m, out)
	out.Valid = len(out.InvalidReasons) == 0
	return out, nil
}
