package experiments

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/claims"
	"github.com/smaran-v2/smaran/loadtest/internal/cost"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

const (
	reproduced    = reportv1.Verdict_VERDICT_REPRODUCED
	notReproduced = reportv1.Verdict_VERDICT_NOT_REPRODUCED
	depends       = reportv1.Verdict_VERDICT_DEPENDS
	notHere       = reportv1.Verdict_VERDICT_NOT_MEASURABLE_HERE
)

func delays(p50 ...time.Duration) (found []lookup) {
	for i, d := range p50 {
		found = append(found, lookup{delay: lookupDelays[i], p50: d, p99: 2 * d})
	}
	return found
}

func atClaimedRate(achieved, cores float64, p99 time.Duration) []rung {
	return []rung{{offered: 1000, achieved: 1000, redisCores: 0.1}, {offered: claimedRate, achieved: achieved, redisCores: cores, p99: p99}}
}

func scaled(picks []time.Duration, peaks []float64) (found []scaling) {
	for i, n := range scalingSizes {
		found = append(found, scaling{hosts: n, pick: picks[i], peakByMean: peaks[i]})
	}
	return found
}

// Each judge is shown what would make it say otherwise.
func TestJudges(t *testing.T) {
	const ms = time.Millisecond
	prices := cost.Assumptions{Redis: 300, Pods: 10, Replicas: 2, Hours: 730, SidecarCPU: 0.1, SidecarGiB: 0.125, IstiodCPU: 0.5, IstiodGiB: 2, CoreHour: 0.03, GiBHour: 0.004}
	free, dear := prices, prices
	free.CoreHour, free.GiBHour = 0, 0
	dear.Pods = 200
	flat := []time.Duration{12, 12, 12, 12}
	for _, c := range []struct {
		claim uint32
		name  string
		found claims.Finding
		want  reportv1.Verdict
	}{
		{3, "fast here, 5 ms away with a network", judgeLookup(delays(ms/5, ms, 2*ms, 6*ms, 11*ms), lookup{}), depends},
		{3, "slow here", judgeLookup(delays(6*ms, 7*ms, 8*ms, 11*ms, 16*ms), lookup{}), reproduced},
		{3, "fast everywhere", judgeLookup(delays(ms/5, ms/5, ms/5, ms/5, ms/5), lookup{}), notReproduced},
		{3, "slower than claimed", judgeLookup(delays(20*ms, 21*ms, 22*ms, 25*ms, 30*ms), lookup{}), notReproduced},

		{4, "Redis is full", judgeRamp(atClaimedRate(9_000, 0.97, 30*ms)), reproduced},
		{4, "Redis keeps up", judgeRamp(atClaimedRate(9_990, 0.15, ms)), notReproduced},
		{4, "the generator does not", judgeRamp(atClaimedRate(6_000, 0.10, 300*ms)), notHere},
		{4, "between", judgeRamp(atClaimedRate(9_000, 0.70, 30*ms)), depends},

		{6, "both", judgeTTL([]swept{{ttl: time.Second, busyMoved: 0.8}, {ttl: time.Minute, stale: 1}}), reproduced},
		{6, "only too long hurts", judgeTTL([]swept{{ttl: time.Second}, {ttl: time.Minute, stale: 1}}), depends},
		{6, "only too short hurts", judgeTTL([]swept{{ttl: time.Second, idleMoved: 0.8}, {ttl: time.Minute}}), depends},
		{6, "neither", judgeTTL([]swept{{ttl: time.Second}, {ttl: time.Minute}}), notReproduced},

		{8, "fast", judgePick(40, 160, 900_000), reproduced},
		{8, "slow", judgePick(40, time.Millisecond, time.Second), notReproduced},

		{9, "unrelated", judgeModulo(3, 0.334, 0.78, 0.90), notReproduced},
		{9, "the same", judgeModulo(3, 1, 0.90, 0.90), reproduced},
		{9, "related", judgeModulo(3, 0.60, 0.80, 0.90), depends},

		{10, "only Maglev", judgeOneMore([]oneMore{{3, 0.352, 0.251}, {10, 0.156, 0.094}}), depends},
		{10, "the ring too", judgeOneMore([]oneMore{{3, 0.25, 0.25}, {10, 0.09, 0.09}}), reproduced},
		{10, "neither", judgeOneMore([]oneMore{{3, 0.75, 0.75}, {10, 0.91, 0.91}}), notReproduced},

		{11, "as the ring is", judgeScaleTo(3, 10, 0.30, 0.782, 0.70), notReproduced},
		{11, "as claimed", judgeScaleTo(3, 10, 0.30, 0.31, 0.70), reproduced},
		{12, "as Maglev is", judgeScaleTo(3, 5, 0.40, 0.513, 0.401), depends},

		{21, "as priced", judgeCost(prices), depends},
		{21, "machines for nothing", judgeCost(free), reproduced},
		{21, "many sidecars", judgeCost(dear), notReproduced},

		{22, "both", judgeSplits(newSplit("a", 1800, 2000), newSplit("b", 1790, 2000)), reproduced},
		{22, "one", judgeSplits(newSplit("a", 1800, 2000), newSplit("b", 1000, 2000)), depends},
		{22, "neither", judgeSplits(newSplit("a", 1000, 2000), newSplit("b", 1000, 2000)), notReproduced},

		{24, "only with it", judgeChain(1, 0), reproduced},
		{24, "also without", judgeChain(1, 1), notReproduced},
		{24, "mostly", judgeChain(0.9, 0.3), depends},

		{26, "named and needed", judgeToken(true, 1, 0.2), reproduced},
		{26, "named and not needed", judgeToken(true, 1, 1), notReproduced},
		{26, "named, and something else helps", judgeToken(true, 1, 0.7), depends},
		{26, "not named", judgeToken(false, 1, 0.2), notReproduced},

		{28, "until sealed", judgeForgery(1, 0.2), reproduced},
		{28, "refused by the filter", judgeForgery(0.2, 0.2), notReproduced},

		{31, "while busy", judgeLeastRequest(0.93, 0.70), depends},
		{31, "always", judgeLeastRequest(0.95, 0.95), reproduced},
		{31, "never", judgeLeastRequest(0.70, 0.70), notReproduced},

		{32, "mended", judgeRingSizes([]ringPeak{{1024, 1.15}, {10_240, 1.05}}), reproduced},
		{32, "better", judgeRingSizes([]ringPeak{{1024, 1.40}, {10_240, 1.20}}), depends},
		{32, "no better", judgeRingSizes([]ringPeak{{1024, 1.15}, {10_240, 1.15}}), notReproduced},

		{33, "for some", judgeBalance([]balance{{"short", 0.9, 1, 1, 1}, {"long", 0.19, 0.52, 0.75, 0.99}}), depends},
		{33, "for all", judgeBalance([]balance{{"long", 0.19, 0.52, 0.75, 0.99}}), reproduced},
		{33, "for none", judgeBalance([]balance{{"short", 0.9, 1, 1, 1}}), notReproduced},
		{33, "not within a day", judgeBalance([]balance{{"longer", 0.19, 0.52, 0.55, 0.60}}), notReproduced},

		{37, "all on one pod", judgeSourceIP(100, 10, 1, 0.12), reproduced},
		{37, "spread all the same", judgeSourceIP(100, 10, 0.12, 0.12), notReproduced},
		{37, "somewhat", judgeSourceIP(100, 10, 0.5, 0.12), depends},
		{37, "one pod for sessions too", judgeSourceIP(100, 1, 1, 1), notReproduced},

		{38, "even", judgeScaling(scaled(flat, []float64{1.01, 1.01, 1.02, 1.03})), reproduced},
		{38, "uneven", judgeScaling(scaled(flat, []float64{1.04, 1.15, 1.37, 1.88})), depends},
		{38, "half of what is added is lost", judgeScaling(scaled(flat, []float64{1.04, 1.30, 1.70, 2.20})), notReproduced},
		{38, "picks cost thrice", judgeScaling(scaled([]time.Duration{10, 15, 20, 31}, []float64{1, 1, 1, 1})), notReproduced},
		{38, "picks cost more than in proportion", judgeScaling(scaled([]time.Duration{10, 100, 500, 1000}, []float64{1, 1, 1, 1})), notReproduced},
	} {
		t.Run(fmt.Sprintf("%d %s", c.claim, c.name), func(t *testing.T) {
			require.Equal(t, c.want, c.found.Verdict, "%s – %s", c.found.Measured, c.found.Note)
			require.NotEmpty(t, c.found.Measured)
			require.NotEmpty(t, c.found.Figures)
			if c.want == depends && c.claim != 6 {
				require.NotEmpty(t, c.found.Note, "a verdict that depends says on what")
			}
		})
	}
}
