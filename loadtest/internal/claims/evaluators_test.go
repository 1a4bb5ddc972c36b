package claims_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/figures"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// result is a valid one without events.
func result(backend, scenario string, counts map[string]uint64) *reportv1.Result {
	return &reportv1.Result{
		Backend: backend, Scenario: scenario, Valid: true, Counts: counts,
		Load:         &reportv1.Load{Calls: 24, Sessions: 24},
		Denominators: &reportv1.Denominators{CallMinutes: 10, Requests: 600, CallsPlaced: 24},
	}
}

// scaling is a run with one event, across which so many of the observed sessions moved.
func scaling(backend string, from, to int, observed, moved uint64) *reportv1.Result {
	r := result(backend, fmt.Sprintf("scale-%d-%d", from, to), nil)
	least := 1 - float64(min(from, to))/float64(max(from, to))
	r.Events = []*reportv1.Event{{
		Name: fmt.Sprintf("scale=%d", to), StartedMs: 4000, FinishedMs: 4500, ObservedSessions: observed, MovedSessions: moved,
		MinimalShare: &least, Changes: []*reportv1.EndpointChange{{Healthy: uint32(to)}}, Counts: map[string]uint64{},
	}}
	return r
}

// event is a run with one event of that name and these counts.
func event(backend, scenario, name string, counts map[string]uint64) *reportv1.Result {
	r := result(backend, scenario, counts)
	r.Events = []*reportv1.Event{{Name: name, ObservedSessions: 24, Counts: counts}}
	return r
}

// with changes the first event of a result.
func with(r *reportv1.Result, change func(*reportv1.Event)) *reportv1.Result {
	change(r.GetEvents()[0])
	return r
}

func counted(counts map[string]uint64) func(*reportv1.Event) {
	return func(e *reportv1.Event) { e.Counts = counts }
}

// latencies is a run whose warm and cold requests had these medians, over so many samples each.
func latencies(warm, cold float64, samples uint64) *reportv1.Result {
	r := result("istio-hash", "steady", nil)
	h := func(p50 float64) *reportv1.Histogram {
		return &reportv1.Histogram{Count: samples, Percentiles: []*reportv1.Percentile{{Percentile: 50, Value: p50}}}
	}
	r.Histograms = map[string]*reportv1.Histogram{figures.InferenceWarm: h(warm), figures.InferenceCold: h(cold)}
	return r
}

func roundRobin(misroutes, dropped, interrupted uint64) *reportv1.Result {
	return result("roundrobin", "demo", map[string]uint64{
		figures.Misroutes: misroutes + 500, figures.MisroutedRequests: misroutes, figures.DroppedCalls: dropped,
		figures.MediaInterruptions: interrupted, figures.Renegotiations: misroutes,
	})
}

// signalled is a run that counted misroutes without saying how many of them were requests.
func signalled(misroutes uint64) *reportv1.Result {
	r := roundRobin(misroutes, 20, 0)
	delete(r.Counts, figures.MisroutedRequests)
	return r
}

func outage(backend string, misroutes, dropped uint64) *reportv1.Result {
	return event(backend, "redis-outage", "redis=down", map[string]uint64{
		figures.Misroutes: misroutes, figures.DroppedCalls: dropped, figures.MediaInterruptions: 0,
	})
}

func stays(moved, misroutes, interrupted uint64) *reportv1.Result {
	return with(scaling("istio-hash", 3, 10, 24, moved), counted(map[string]uint64{
		figures.Misroutes: misroutes, figures.MediaInterruptions: interrupted, figures.DroppedCalls: 0,
	}))
}

func redialled(backend string, n uint64, calls uint32) *reportv1.Result {
	r := event(backend, "kill", "kill", map[string]uint64{figures.Renegotiations: n})
	r.Load.Calls = calls
	return r
}

func headerless(scattered, failed uint64, answer string) []*reportv1.Result {
	lenient := result("istio-hash", "no-header", map[string]uint64{
		figures.ScatteredSessions: scattered, figures.RequestsFailed: failed, figures.ColdStarts: 100,
	})
	lenient.Settings = map[string]string{"session_mode": "lenient"}
	strict := result("redis", "steady", nil)
	strict.Settings = map[string]string{"session_mode": "strict", "no_header_answer": answer}
	return []*reportv1.Result{lenient, strict}
}

func onRedis(kind string) *reportv1.Result {
	r := result("redis", "steady", nil)
	r.Settings = map[string]string{"redis": kind}
	return r
}

func stateful(from, to int, moved, lost uint64) *reportv1.Result {
	return with(scaling("stateful-cookie", from, to, 24, moved), counted(map[string]uint64{figures.StateLost: lost}))
}

func rollout(moved, lost uint64) *reportv1.Result {
	return with(event("stateful-header", "rollout", "rollout", map[string]uint64{figures.StateLost: lost}),
		func(e *reportv1.Event) { e.MovedSessions = moved })
}

// storm is a run with so many cold starts a second before the event at 4 s and after it.
func storm(before, after uint32) *reportv1.Result {
	r := scaling("istio-hash", 3, 10, 24, 18)
	r.Timeline = &reportv1.Timeline{BucketMs: 1000}
	for second := range 10 {
		p := &reportv1.TimelinePoint{AtMs: float64(second) * 1000, Requests: 36, Cold: before}
		if second >= 4 {
			p.Cold = after
		}
		r.Timeline.Points = append(r.Timeline.Points, p)
	}
	return r
}

// seeded is a repeat of a run with that seed's sessions.
func seeded(seed, observed, moved uint64) *reportv1.Result {
	r := scaling("istio-hash", 3, 10, observed, moved)
	r.Seed = seed
	return r
}

// stormAfter is a run with a storm at 4 s that followed another event, whose own cold starts went on until the fleet had settled.
func stormAfter(settledFrom, settledTo float64) *reportv1.Result {
	r := storm(0, 4)
	for _, p := range r.GetTimeline().GetPoints()[:2] {
		p.Cold = 20
	}
	earlier := &reportv1.Event{Name: "kill", StartedMs: 10, FinishedMs: 20, SettledFromMs: settledFrom, SettledToMs: settledTo}
	r.Events = append([]*reportv1.Event{earlier}, r.GetEvents()...)
	return r
}

func list(results ...*reportv1.Result) []*reportv1.Result { return results }

func TestEvaluators(t *testing.T) {
	for _, c := range []struct {
		name    string
		claim   uint32
		results []*reportv1.Result
		want    reportv1.Verdict
	}{
		{"as the story says", 1, list(latencies(98, 870, 100)), reproduced},
		{"a slow machine", 1, list(latencies(140, 870, 100)), notReproduced},
		{"cold as fast as warm", 1, list(latencies(98, 100, 100)), notReproduced},
		{"too few samples", 1, list(latencies(98, 870, 29)), notRun},

		{"spread and dropped", 2, list(roundRobin(400, 20, 0)), reproduced},
		{"spread and interrupted", 2, list(roundRobin(400, 0, 3)), reproduced},
		{"spread, and the client hides it", 2, list(roundRobin(400, 0, 0)), depends},
		{"not spread", 2, list(roundRobin(10, 20, 0)), notReproduced},
		{"misroutes, of what is not said", 2, list(signalled(400)), notRun},
		{"another backend", 2, list(result("redis", "demo", roundRobin(400, 20, 0).GetCounts())), notRun},

		{"random and dropped", 5, list(outage("redis-plain", 30, 4), outage("redis", 0, 0)), reproduced},
		{"random and survived", 5, list(outage("redis-plain", 30, 0)), depends},
		{"not random", 5, list(outage("redis-plain", 0, 0)), notReproduced},
		{"only the one that degrades", 5, list(outage("redis", 30, 4)), notRun},

		{"all move", 7, list(scaling("redis-plain", 3, 10, 100, 95)), reproduced},
		{"some move", 7, list(scaling("redis-plain", 3, 10, 100, 50)), depends},
		{"none moves", 7, list(scaling("redis", 3, 10, 24, 0)), notReproduced},
		{"another scaling", 7, list(scaling("redis", 3, 5, 24, 0)), notRun},

		{"the ring as it is", 11, list(scaling("istio-hash", 3, 10, 24, 18)), notReproduced},
		{"as claimed", 11, list(scaling("istio-hash", 3, 10, 400, 120)), reproduced},
		{"as claimed, of few and again", 11, list(seeded(1, 24, 7), seeded(1, 24, 7), seeded(1, 24, 7), seeded(1, 24, 7), seeded(1, 24, 7)), notRun},
		{"as claimed, of few and others", 11, list(seeded(1, 24, 7), seeded(2, 24, 7), seeded(3, 24, 7), seeded(4, 24, 7), seeded(5, 24, 7)), reproduced},
		{"as claimed, of few", 11, list(scaling("istio-hash", 3, 10, 24, 7)), notRun},
		{"only Maglev as claimed", 11, list(scaling("istio-hash", 3, 10, 400, 312), scaling("istio-hash:maglev", 3, 10, 400, 120)), depends},

		{"ring off, Maglev as claimed", 12, list(scaling("istio-hash", 3, 5, 800, 410), scaling("istio-hash:maglev", 3, 5, 800, 322)), depends},
		{"both off", 12, list(scaling("istio-hash", 3, 5, 800, 410), scaling("istio-hash:maglev", 3, 5, 800, 500)), notReproduced},
		{"ring as claimed", 12, list(scaling("istio-hash:ring", 3, 5, 800, 322)), reproduced},
		{"only Maglev was asked", 12, list(scaling("istio-hash:maglev", 3, 5, 800, 322)), notRun},
		{"10->3 is not 3->10", 11, list(with(scaling("istio-hash", 10, 3, 400, 312), func(*reportv1.Event) {})), notRun},

		{"calls stay", 13, list(stays(0, 0, 0)), reproduced},
		{"media stays, requests do not", 13, list(stays(18, 18, 0)), depends},
		{"media is cut", 13, list(stays(18, 18, 5)), notReproduced},

		{"the hash is no better", 14, list(redialled("redis", 10, 24), redialled("istio-hash", 12, 24)), notReproduced},
		{"the hash is somewhat better", 14, list(redialled("redis", 10, 24), redialled("istio-hash", 2, 24)), depends},
		{"the hash is better by the claimed ratio", 14, list(redialled("redis", 40_000, 40_000), redialled("istio-hash", 0, 40_000)), reproduced},
		{"never seen is not never", 14, list(redialled("redis", 10, 24), redialled("istio-hash", 0, 24)), depends},
		{"no common scenario", 14, list(redialled("redis", 10, 24), event("istio-hash", "rollout", "rollout", map[string]uint64{figures.Renegotiations: 1})), notRun},

		{"lost without a word, and refused", 17, headerless(20, 0, "400 session_missing"), reproduced},
		{"lost, and served by strict ones too", 17, headerless(20, 0, "200, served by jarvis-1"), depends},
		{"not lost", 17, headerless(0, 0, "400 session_missing"), notReproduced},
		{"not silent", 17, headerless(20, 60, "400 session_missing"), notReproduced},

		{"real but for the model", 20, list(onRedis("redis-server 7.0.15")), depends},
		{"a stand-in for Redis", 20, list(onRedis("redis-server 7.0.15"), onRedis("miniredis 2.38.0")), depends},

		{"none went to the new pods", 27, list(stateful(3, 10, 0, 0)), reproduced},
		{"most did", 27, list(stateful(3, 10, 17, 0)), notReproduced},
		{"some did", 27, list(stateful(3, 10, 12, 0)), depends},
		{"the ring is no evidence", 27, list(scaling("istio-hash", 3, 10, 24, 0)), notRun},

		{"none lost either way", 29, list(stateful(3, 10, 0, 0), stateful(10, 3, 0, 0)), reproduced},
		{"lost when scaling in", 29, list(stateful(3, 5, 0, 0), stateful(10, 3, 16, 16)), depends},
		{"lost when scaling out", 29, list(stateful(3, 10, 2, 0), stateful(10, 3, 0, 0)), notReproduced},
		{"only scaling out seen", 29, list(stateful(3, 10, 0, 0)), depends},
		{"lost when scaling in, all that was seen", 29, list(stateful(10, 3, 16, 0)), notReproduced},

		{"survive", 30, list(rollout(0, 0)), reproduced},
		{"move", 30, list(rollout(20, 0)), notReproduced},
		{"stay and lose their state", 30, list(rollout(0, 20)), notReproduced},

		{"quiet", 39, list(storm(0, 0)), reproduced},
		{"as many as before", 39, list(storm(3, 3)), reproduced},
		{"a storm", 39, list(storm(0, 4)), notReproduced},
		{"a storm after another event's", 39, list(stormAfter(2000, 4000)), notReproduced},
		{"not settled since another event", 39, list(stormAfter(0, 0)), notRun},
		{"a doubling of next to nothing", 39, list(with(storm(0, 4), func(e *reportv1.Event) { e.ObservedSessions = 1000 })), reproduced},
	} {
		t.Run(fmt.Sprintf("%d %s", c.claim, c.name), func(t *testing.T) {
			got := claim(t, c.claim, c.results...)
			require.Equal(t, c.want, got.GetVerdict(), "%s – %s", got.GetMeasured(), got.GetNote())
			if c.want != notRun {
				require.NotEmpty(t, got.GetMeasured())
				require.NotEmpty(t, got.GetFigures())
			}
			if c.want == depends {
				require.NotEmpty(t, got.GetNote(), "a verdict that depends says on what")
			}
		})
	}
}
