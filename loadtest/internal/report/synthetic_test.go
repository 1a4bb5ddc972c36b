package report_test

// Everything in this file is made up: a small simulation of calls over a fleet, so that the report can be drawn and tested
// without a fleet. None of its figures was measured, and every report it makes says so in its id.

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/smaran-v2/smaran/loadtest/internal/claims"
	"github.com/smaran-v2/smaran/loadtest/internal/figures"
	"github.com/smaran-v2/smaran/loadtest/internal/report"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
	"github.com/smaran-v2/smaran/services/affinity"
)

var syntheticBackends = []string{
	"roundrobin", "redis-plain", "redis", "app-hash", "istio-hash", "istio-hash:maglev", "stateful-header", "stateful-cookie",
}

// step is one event of a made-up scenario.
type step struct {
	atMs float64
	name string
	pods int // afterwards; 0 leaves the number
	kill bool
}

var syntheticScenarios = []struct {
	name  string
	pods  int
	steps []step
}{
	{"steady", 3, nil},
	{"scale-3-10", 3, []step{{6000, "scale=10", 10, false}}},
	{"scale-3-5", 3, []step{{6000, "scale=5", 5, false}}},
	{"scale-10-3", 10, []step{{6000, "scale=3", 3, false}}},
	{"kill", 3, []step{{6000, "kill", 0, true}}},
}

const (
	syntheticCalls    = 60
	syntheticDuration = 20_000.0
	syntheticBucket   = 500.0
)

// syntheticDemo is a made-up demo: one scenario, all backends, a scaling and a kill.
func syntheticDemo() *reportv1.Report {
	r := syntheticReport("demo")
	for _, b := range syntheticBackends {
		r.Results = append(r.Results, simulate("demo", b, 1, 3, []step{{4000, "scale=10", 10, false}, {8000, "kill", 0, true}}))
	}
	r.Claims = claims.Evaluate(r)
	return r
}

// syntheticCompare is a made-up comparison over several scenarios, twice each, with one run that is not valid.
func syntheticCompare() *reportv1.Report {
	r := syntheticReport("compare")
	for _, s := range syntheticScenarios {
		for repeat := range uint32(2) {
			for _, b := range syntheticBackends {
				r.Results = append(r.Results, simulate(s.name, b, repeat+1, s.pods, s.steps))
			}
		}
	}
	for _, result := range r.Results {
		if result.Scenario == "kill" && result.Backend == "redis" {
			result.Valid = false
			result.InvalidReasons = []string{"8.1% of sends were late, at most 5% may be"}
			result.Generator.LateShare = 0.081
		}
	}
	r.Claims = claims.Evaluate(r)
	return r
}

func syntheticReport(kind string) *reportv1.Report {
	return &reportv1.Report{
		SchemaVersion: report.SchemaVersion,
		Run: &reportv1.Run{
			Id: kind + "-synthetic", Kind: kind, Command: "go test ./internal/report # made up, not measured", Seed: 7, Driver: "synthetic",
			Started:  timestamppb.New(time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)),
			Finished: timestamppb.New(time.Date(2026, 11, 20, 10, 2, 51, 0, time.UTC)),
			Machine:  &reportv1.Machine{Os: "linux", Arch: "amd64", CpuModel: "a made-up processor", Cpus: 2, MemoryBytes: 8 << 30, Kernel: "6.1"},
			Versions: map[string]string{"go": "go1.26", "pion": "v4.2.20", "redis": "7.0.15", "smaran": "synthetic"},
		},
	}
}

// world is the state of one made-up run.
type world struct {
	r        *rand.Rand
	backend  string
	pods     []string
	down     map[string]float64 // until when requests for a killed pod still go there
	next     int
	mapping  map[string]string          // sticky backends
	cached   map[string]map[string]bool // pod -> sessions
	call     map[string]string
	result   *reportv1.Result
	samples  map[string][]float64
	buckets  [][]float64
	load     map[string]*reportv1.PodLoad
	moved    map[string]bool
	turns    int
	picker   affinity.Picker // of pods; nil after they changed
	eventNow *reportv1.Event
}

func podAddress(i int) string { return fmt.Sprintf("127.0.1.%d:8080", i+1) }

func affinityHosts(pods []string) []affinity.Host {
	out := make([]affinity.Host, len(pods))
	for i, p := range pods {
		out[i] = affinity.Host{Address: p}
	}
	return out
}

func policyOf(backend string) (affinity.Policy, bool) {
	switch backend {
	case "app-hash":
		return affinity.PolicyRendezvous, true
	case "istio-hash":
		return affinity.PolicyRing, true
	case "istio-hash:maglev":
		return affinity.PolicyMaglev, true
	default:
		return "", false
	}
}

func (w *world) route(session string) string {
	if policy, ok := policyOf(w.backend); ok {
		if w.picker == nil {
			p, err := affinity.New(policy, affinityHosts(w.pods), affinity.Options{})
			if err != nil {
				panic(err)
			}
			w.picker = p
		}
		return w.pods[w.picker.Pick(affinity.HashValue(session), 0)]
	}
	if w.backend == "roundrobin" {
		w.turns++
		return w.pods[w.turns%len(w.pods)]
	}
	if p, ok := w.mapping[session]; ok && slices.Contains(w.pods, p) {
		return p
	}
	w.mapping[session] = w.pods[w.r.IntN(len(w.pods))]
	return w.mapping[session]
}

func simulate(scenario, backend string, repeat uint32, pods int, steps []step) *reportv1.Result {
	w := &world{
		r: rand.New(rand.NewPCG(uint64(repeat), 7)), backend: backend, down: map[string]float64{}, next: pods,
		mapping: map[string]string{}, cached: map[string]map[string]bool{}, call: map[string]string{},
		samples: map[string][]float64{}, buckets: make([][]float64, int(syntheticDuration/syntheticBucket)),
		load: map[string]*reportv1.PodLoad{}, moved: map[string]bool{},
		result: &reportv1.Result{
			Backend: backend, Scenario: scenario, Repeat: repeat, Seed: 7, Valid: true,
			WarmupMs: 2000, DurationMs: syntheticDuration, Counts: map[string]uint64{}, Histograms: map[string]*reportv1.Histogram{},
			Timeline: &reportv1.Timeline{BucketMs: syntheticBucket},
			Settings: map[string]string{"redis": "real", "session_mode": "strict", "ring_size": "1024"},
			Load:     &reportv1.Load{Calls: syntheticCalls, RequestedQps: 120, ActualQps: 119.9, Sessions: syntheticCalls, OnMisroute: "redial"},
			Generator: &reportv1.Generator{
				CpuSeconds: 11, CpuCores: 0.55, LagP50Ms: 0.2, LagP99Ms: 3.1, LagMaxMs: 9.4, LateShare: 0.004, MaxRssBytes: 9e7,
			},
		},
	}
	for _, name := range append(figures.Classes(), figures.DroppedCalls, figures.ColdStarts, figures.Unspoken, figures.Forwards, figures.RequestsFailed,
		figures.MovedSessions, figures.Mispredicted, figures.GapsOver60ms, figures.GapsOver1s) {
		w.result.Counts[name] = 0
	}
	for i := range w.buckets {
		w.result.Timeline.Points = append(w.result.Timeline.Points, &reportv1.TimelinePoint{AtMs: float64(i) * syntheticBucket, CallsUp: syntheticCalls})
	}
	for i := range pods {
		w.pods = append(w.pods, podAddress(i))
	}
	for i := range syntheticCalls {
		s := session(i)
		w.call[s] = w.route(s)
		w.cache(w.call[s], s)
		w.sample(figures.Setup, 12+40*w.r.ExpFloat64())
		w.podLoad(w.call[s]).CallsPlaced++
	}
	stepAt := 0
	for t := 0.0; t < syntheticDuration; t += 1000.0 / 120 {
		for stepAt < len(steps) && t >= steps[stepAt].atMs {
			w.apply(steps[stepAt])
			stepAt++
		}
		w.request(t, session(w.r.IntN(syntheticCalls)))
		if w.r.IntN(4) == 0 {
			w.gap(t, 20+6*w.r.ExpFloat64(), false)
		}
	}
	return w.finish(steps)
}

func session(i int) string { return fmt.Sprintf("synthetic-%03d", i) }

func (w *world) cache(pod, s string) {
	if w.cached[pod] == nil {
		w.cached[pod] = map[string]bool{}
	}
	w.cached[pod][s] = true
}

func (w *world) podLoad(address string) *reportv1.PodLoad {
	if w.load[address] == nil {
		var i int
		if _, err := fmt.Sscanf(address, "127.0.1.%d:", &i); err != nil {
			panic(err)
		}
		w.load[address] = &reportv1.PodLoad{Pod: fmt.Sprintf("jarvis-%d", i-1), Address: address}
	}
	return w.load[address]
}

func (w *world) sample(name string, v float64) { w.samples[name] = append(w.samples[name], v) }

func (w *world) count(t float64, name string) {
	w.result.Counts[name]++
	if w.eventNow != nil {
		w.eventNow.Counts[name]++
	}
	p := w.result.Timeline.Points[min(int(t/syntheticBucket), len(w.result.Timeline.Points)-1)]
	switch name {
	case figures.Misroutes:
		p.Misroutes++
	case figures.MediaInterruptions:
		p.Interruptions++
	case figures.Renegotiations:
		p.Renegotiations++
		p.Setups++
	case figures.ColdStarts:
		p.Cold++
	case figures.RequestsFailed:
		p.Failed++
	case figures.DroppedCalls:
		p.Dropped++
	case figures.StateLost:
		p.StateLost++
	}
}

func (w *world) gap(t, ms float64, moved bool) {
	w.sample(figures.Gap, ms)
	if moved {
		w.sample(figures.GapMoved, ms)
	} else {
		w.sample(figures.GapUnmoved, ms)
	}
	p := w.result.Timeline.Points[min(int(t/syntheticBucket), len(w.result.Timeline.Points)-1)]
	p.WorstGapMs = max(p.WorstGapMs, ms)
	if ms > 60 {
		w.count(t, figures.GapsOver60ms)
	}
	if ms > 200 {
		w.count(t, figures.MediaInterruptions)
	}
	if ms > 1000 {
		w.count(t, figures.GapsOver1s)
	}
}

func (w *world) request(t float64, s string) {
	b := min(int(t/syntheticBucket), len(w.buckets)-1)
	p := w.result.Timeline.Points[b]
	p.Requests++
	pod := w.route(s)
	if until, dead := w.down[pod]; dead && t < until {
		w.count(t, figures.RequestsFailed)
		return
	}
	load := w.podLoad(pod)
	load.Requests++
	latency := 98 * math.Exp(0.09*w.r.NormFloat64())
	if !w.cached[pod][s] {
		latency = 862 * math.Exp(0.02*w.r.NormFloat64())
		w.count(t, figures.ColdStarts)
		w.sample(figures.InferenceCold, latency)
	} else {
		w.sample(figures.InferenceWarm, latency)
	}
	w.cache(pod, s)
	w.sample(figures.Inference, latency)
	w.buckets[b] = append(w.buckets[b], latency)
	if pod != w.call[s] {
		w.count(t, figures.Misroutes)
		w.count(t, figures.MisroutedRequests)
		w.redial(t, s, pod, 105*math.Exp(0.3*w.r.NormFloat64()))
	}
}

func (w *world) redial(t float64, s, pod string, gap float64) {
	w.moved[s] = true
	w.count(t, figures.Renegotiations)
	w.sample(figures.Setup, 14+30*w.r.ExpFloat64())
	w.gap(t, gap, true)
	w.call[s] = pod
	w.podLoad(pod).CallsPlaced++
}

func (w *world) apply(st step) {
	before := slices.Clone(w.pods)
	where := map[string]string{}
	if w.backend != "roundrobin" {
		for i := range syntheticCalls {
			where[session(i)] = w.route(session(i))
		}
	}
	e := &reportv1.Event{
		Name: st.name, PlannedMs: st.atMs, StartedMs: st.atMs + 4, FinishedMs: st.atMs + 620, ObservedSessions: syntheticCalls,
		Counts: map[string]uint64{},
	}
	for name := range w.result.Counts {
		e.Counts[name] = 0
	}
	w.eventNow = e
	var killed string
	switch {
	case st.kill:
		killed = w.pods[1]
		e.Pod = w.podLoad(killed).Pod
		w.pods = slices.Delete(w.pods, 1, 2)
	case st.pods > len(w.pods):
		for len(w.pods) < st.pods {
			w.pods = append(w.pods, podAddress(w.next))
			w.next++
		}
	case st.pods > 0:
		w.pods = w.pods[:st.pods]
	}
	w.picker = nil
	e.Changes = []*reportv1.EndpointChange{{AtMs: st.atMs + 600, Version: uint64(len(w.result.Events) + 2), Healthy: uint32(len(w.pods))}}
	if len(before) != len(w.pods) && !st.kill {
		least := affinity.LeastMoved(affinityHosts(before), affinityHosts(w.pods))
		e.MinimalShare = &least
	}
	for i := range syntheticCalls {
		s := session(i)
		if w.backend == "roundrobin" {
			e.MovedSessions++
		} else if w.route(s) != where[s] {
			e.MovedSessions++
		}
		if gone := w.call[s]; !slices.Contains(w.pods, gone) {
			w.count(st.atMs+50, figures.StateLost)
			gap := 300 * math.Exp(0.7*w.r.NormFloat64())
			if w.r.IntN(12) == 0 {
				w.count(st.atMs+900, figures.DroppedCalls)
				w.count(st.atMs+900, figures.DroppedNoMedia)
				gap = 10_000
			}
			w.redial(st.atMs+100, s, w.route(s), gap)
		}
	}
	if policy, ok := policyOf(w.backend); ok {
		var ids []string
		for i := range syntheticCalls {
			ids = append(ids, session(i))
		}
		p, err := affinity.Predict(policy, affinity.Options{}, affinityHosts(before), affinityHosts(w.pods), ids)
		if err != nil {
			panic(err)
		}
		moved, wrong := uint64(p.Moved), uint64(0)
		e.PredictedMoved, e.Mispredicted = &moved, &wrong
	}
	e.SessionsByMoves = []uint64{e.ObservedSessions - e.MovedSessions, e.MovedSessions}
	if w.backend == "roundrobin" {
		e.SessionsByMoves = []uint64{0, 1, 9, 20, 20, 10}
	}
	w.result.Counts[figures.MovedSessions] += e.MovedSessions
	w.result.Events = append(w.result.Events, e)
}

func (w *world) finish(steps []step) *reportv1.Result {
	r := w.result
	for name, values := range w.samples {
		r.Histograms[name] = histogramOf(values)
	}
	var requests uint64
	for i, values := range w.buckets {
		slices.Sort(values)
		if len(values) > 0 {
			r.Timeline.Points[i].InferenceP50Ms = values[len(values)/2]
			r.Timeline.Points[i].InferenceP99Ms = values[int(0.99*float64(len(values)))]
		}
		requests += uint64(r.Timeline.Points[i].Requests)
	}
	for _, address := range slices.Sorted(maps.Keys(w.load)) {
		w.load[address].Sessions = uint64(len(w.cached[address]))
		r.Pods = append(r.Pods, w.load[address])
	}
	r.Denominators = &reportv1.Denominators{
		CallMinutes: syntheticCalls * syntheticDuration / 60_000, Events: uint64(len(steps)), Requests: requests, CallsPlaced: syntheticCalls,
	}
	r.Load.Requests = requests
	return r
}

// histogramOf makes a histogram with ten buckets to a decade.
func histogramOf(values []float64) *reportv1.Histogram {
	slices.Sort(values)
	h := &reportv1.Histogram{Count: uint64(len(values)), Min: values[0], Max: values[len(values)-1]}
	for _, v := range values {
		h.Sum += v
	}
	h.Avg = h.Sum / float64(h.Count)
	var cumulative uint64
	at := 0
	for edge := 1.0; at < len(values); edge *= math.Pow(10, 0.1) {
		b := &reportv1.Bucket{Start: edge, End: edge * math.Pow(10, 0.1)}
		for at < len(values) && values[at] < b.End {
			b.Count++
			at++
		}
		if b.Count > 0 {
			cumulative += b.Count
			b.Percent = 100 * float64(cumulative) / float64(h.Count)
			h.Data = append(h.Data, b)
		}
	}
	for _, p := range []struct {
		percentile float64
		least      int
	}{{50, 2}, {75, 4}, {90, 10}, {99, 100}, {99.9, 1000}} {
		if len(values) >= p.least {
			h.Percentiles = append(h.Percentiles, &reportv1.Percentile{
				Percentile: p.percentile, Value: values[min(int(p.percentile/100*float64(len(values))), len(values)-1)],
			})
		}
	}
	return h
}
