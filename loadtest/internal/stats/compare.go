package stats

import (
	"cmp"
	"hash/fnv"
	"math/rand/v2"
	"slices"

	"github.com/smaran-v2/smaran/loadtest/internal/figures"
	"github.com/smaran-v2/smaran/loadtest/internal/threshold"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// Metrics are the figures that are compared, by their thresholds' names.
func Metrics() []string {
	return []string{
		"inference_p50_ms", "inference_p99_ms", "setup_p50_ms", "setup_p99_ms", "gap_p99_ms",
		figures.DroppedCalls, figures.StateLost, figures.MediaInterruptions, figures.Renegotiations, figures.Misroutes,
		figures.SignalReconnects, figures.SetupFailures, figures.ColdStarts, figures.MovedSessions, figures.RequestsFailed,
	}
}

// Compare gives, for every scenario, backend and metric with values, the interval over valid repeats and that of the
// difference to the baseline, paired by repeat. The same seed and results give the same intervals, whatever else is
// compared.
func Compare(seed uint64, results []*reportv1.Result, baseline string) []*reportv1.Comparison {
	type cell struct{ scenario, backend string }
	byCell := map[cell][]*reportv1.Result{}
	var cells []cell
	for _, r := range results {
		if !r.GetValid() {
			continue
		}
		c := cell{r.GetScenario(), r.GetBackend()}
		if byCell[c] == nil {
			cells = append(cells, c)
		}
		byCell[c] = append(byCell[c], r)
	}
	order := map[string]int{}
	for i, c := range cells {
		if _, ok := order[c.scenario]; !ok {
			order[c.scenario] = i
		}
	}
	slices.SortStableFunc(cells, func(a, b cell) int {
		return cmp.Or(cmp.Compare(order[a.scenario], order[b.scenario]), figures.CompareBackends(a.backend, b.backend))
	})
	var out []*reportv1.Comparison
	for _, c := range cells {
		for _, metric := range Metrics() {
			own := values(byCell[c], metric)
			if len(own) == 0 {
				continue
			}
			random := rand.New(rand.NewPCG(seed, key(c.scenario, c.backend, metric)))
			comparison := &reportv1.Comparison{
				Scenario: c.scenario, Backend: c.backend, Baseline: baseline, Metric: metric, Repeats: uint32(len(own)),
				Value: interval(random, flat(own)),
			}
			if c.backend != baseline {
				differences := pair(own, values(byCell[cell{c.scenario, baseline}], metric))
				comparison.Pairs = uint32(len(differences))
				if len(differences) > 0 {
					comparison.Difference = interval(random, differences)
				}
			}
			out = append(out, comparison)
		}
	}
	return out
}

func interval(random *rand.Rand, v []float64) *reportv1.Interval {
	i := Bootstrap(random, v)
	return &reportv1.Interval{Estimate: i.Estimate, Low: i.Low, High: i.High, Confidence: Confidence}
}

// value is a metric of one repeat.
type value struct {
	repeat uint32
	value  float64
}

func values(results []*reportv1.Result, metric string) []value {
	var out []value
	for _, r := range results {
		if v, ok := threshold.Value(r, metric); ok {
			out = append(out, value{r.GetRepeat(), v})
		}
	}
	slices.SortFunc(out, func(a, b value) int { return cmp.Compare(a.repeat, b.repeat) })
	return out
}

func flat(values []value) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = v.value
	}
	return out
}

// pair subtracts the baseline of the same repeat.
func pair(own, baseline []value) []float64 {
	var out []float64
	for _, o := range own {
		for _, b := range baseline {
			if o.repeat == b.repeat {
				out = append(out, o.value-b.value)
			}
		}
	}
	return out
}

// key gives each interval its own stream of random numbers.
func key(parts ...string) uint64 {
	h := fnv.New64a()
	for _, p := range parts {
		_, _ = h.Write([]byte(p + "\x00")) // never fails
	}
	return h.Sum64()
}
