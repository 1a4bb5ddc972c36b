package engine

import (
	"fmt"
	"maps"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/smaran-v2/smaran/loadtest/internal/driver"
	"github.com/smaran-v2/smaran/loadtest/internal/moves"
	"github.com/smaran-v2/smaran/loadtest/internal/peer"
	"github.com/smaran-v2/smaran/loadtest/internal/report/figures"
	"github.com/smaran-v2/smaran/loadtest/internal/tally"
	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/smaran/backend"
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

// usage takes what the generator has used by the end of the measured part. A run that ended in its warm-up used nothing in it.
func (m *measurement) usage(phones Switchboard) {
	m.mediaLag = phones.Lag()
	if after, err := self(); err != nil {
		m.usageErr = err
	} else if m.usageBefore != (usage{}) {
		m.usageAfter = after
	}
}

// result accounts for a measurement.
func (r *run) result(m measurement) (*reportv1.Result, error) {
	from, to := r.plan.Load.Warmup, max(m.stopped, r.plan.Load.Warmup)
	calls := !r.plan.Load.Headerless
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
		CallMinutes: r.plan.CallMinutes(to), Events: uint64(len(m.events)), Requests: requests, CallsPlaced: m.records.Attempts,
	}
	for k, e := range m.events {
		out.Events = append(out.Events, event(e, account.Steps[k], tally.Counts(m.records, spans[k].From, spans[k].To, calls), from))
	}
	out.InvalidReasons = r.invalid(m, out)
	out.Valid = len(out.InvalidReasons) == 0
	return out, nil
}

// counts are those of the tally and those that come from the moves.
func (r *run) counts(m measurement, account moves.Account, from, to time.Duration) map[string]uint64 {
	calls := !r.plan.Load.Headerless
	out := tally.Counts(m.records, from, to, calls)
	if calls {
		out[figures.SetupFailures] = tally.SetupFailures(m.records, to)
	}
	out[tally.ScatteredSessions] = account.Scattered
	var observed, moved uint64
	mispredicted := account.Mispredicted
	for _, s := range account.Steps {
		observed += s.Observed
		moved += s.Moved
		if s.Mispredicted != nil && s.Observed > 0 {
			sum := *s.Mispredicted
			if mispredicted != nil {
				sum += *mispredicted
			}
			mispredicted = &sum
		}
	}
	if observed > 0 {
		out[figures.MovedSessions] = moved
	}
	if mispredicted != nil {
		out[figures.Mispredicted] = *mispredicted
	}
	return out
}

// event is one event of the report. Times are from the start of measuring.
func event(e done, m moves.Moved, counts map[string]uint64, from time.Duration) *reportv1.Event {
	out := &reportv1.Event{
		Name: e.Event.Name(), Pod: e.Pod,
		PlannedMs: tally.Millis(e.Planned - from), StartedMs: tally.Millis(e.Started - from), FinishedMs: tally.Millis(e.Finished - from),
		ObservedSessions: m.Observed, MovedSessions: m.Moved, DetouredSessions: m.Detoured, UnobservedSessions: m.Unobserved,
		PredictedMoved: m.PredictedMoved, Mispredicted: m.Mispredicted, MinimalShare: m.MinimalShare, Counts: counts,
	}
	if e.Err != nil {
		out.Error = e.Err.Error()
	}
	if !m.Window.Empty() {
		out.SettledFromMs, out.SettledToMs = tally.Millis(m.Window.From-from), tally.Millis(m.Window.To-from)
	}
	for _, v := range m.Changes {
		healthy := len(v.Set.Hosts())
		out.Changes = append(out.Changes, &reportv1.EndpointChange{
			AtMs: tally.Millis(v.At - from), Version: v.Number, Healthy: uint32(healthy), Draining: uint32(len(v.Set.Endpoints) - healthy),
		})
	}
	return out
}

// movesInput is the measurement as package moves needs it.
func (r *run) movesInput(m measurement, from, to time.Duration) moves.Input {
	in := moves.Input{
		Inferences: m.records.Inferences, From: from, To: to, Margin: settleMargin,
		History: history(m.status.GetHistory(), r.epoch), Predict: predictor(r.spec.Backend, m.status),
	}
	for _, id := range r.plan.Sessions {
		in.Sessions = append(in.Sessions, string(id))
	}
	for _, e := range m.events {
		in.Steps = append(in.Steps, moves.Step{Start: e.Started, Finish: e.Finished})
	}
	if r.plan.Load.Headerless { // what carries no session follows no prediction
		in.Predict = nil
	}
	return in
}

// predictor is the algorithm behind a backend, nil where its choice can't be computed from the endpoints.
func predictor(backendName string, s *fleetv1.StatusResponse) moves.Predictor {
	name, _ := driver.SplitBackend(backendName)
	switch backend.Name(name) {
	case backend.AppHash:
		return moves.Predict(affinity.PolicyRendezvous, affinity.Options{})
	case backend.IstioHash:
		return moves.Predict(affinity.Policy(s.GetPolicy()), affinity.Options{MinRingSize: s.GetRingSize()})
	default:
		return nil
	}
}

// settings are the fleet's own words and those of the run that are not in the load.
func (r *run) settings(m measurement) map[string]string {
	out := map[string]string{
		"mesh_policy":      m.status.GetPolicy(),
		"ring_size":        fmt.Sprint(m.status.GetRingSize()),
		"session_mode":     m.status.GetSessionMode(),
		"no_header_answer": m.probe,
		"gap_threshold":    r.spec.GapThreshold.String(),
		"watchdog":         r.spec.Watchdog.String(),
		"send_times":       "one a period of each call, moved by up to a quarter of the period",
		"late_by":          lateBy.String(),
		"settle_margin":    settleMargin.String(),
		"media_lag_p99":    m.mediaLag.P99.String(),
	}
	versions := map[string]string{}
	for _, p := range m.status.GetProcesses() {
		if p.GetKind() != "" {
			versions[p.GetName()] = p.GetKind() + " " + p.GetVersion()
		}
	}
	maps.Copy(out, versions)
	return out
}

// generator says whether the measuring side kept up.
func (r *run) generator(m measurement, from, to time.Duration) *reportv1.Generator {
	var sent, late uint64
	for _, i := range m.records.Inferences {
		if i.Intended < from || i.Intended >= to {
			continue
		}
		sent++
		if i.Sent-i.Intended > lateBy {
			late++
		}
	}
	out := &reportv1.Generator{
		CpuSeconds: m.usageAfter.cpuSeconds - m.usageBefore.cpuSeconds, MaxRssBytes: float64(m.usageAfter.rss),
		LagP50Ms: tally.Millis(m.lag.Quantile(0.5)), LagP99Ms: tally.Millis(m.lag.Quantile(0.99)), LagMaxMs: tally.Millis(m.lag.Max()),
		DroppedIterations: m.dropped,
	}
	if sent > 0 {
		out.LateShare = float64(late) / float64(sent)
	}
	if seconds := (to - from).Seconds(); seconds > 0 {
		out.CpuCores = out.CpuSeconds / seconds
	}
	return out
}
