package claims

import (
	"fmt"

	"github.com/smaran-v2/smaran/loadtest/internal/figures"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// What claim 1 says, in milliseconds.
const (
	warmLow, warmHigh = 95, 100
	coldLow, coldHigh = 850, 900
	// latencySlack widens both ranges: the model's times are drawn at random around them, and the way to the pod and
	// back is on top. Beyond a tenth the machine, not the model, made the figure.
	latencySlack = 0.10
	// minLatencySamples makes a median of the model's spread (a sigma of about a tenth) good to 2%.
	minLatencySamples = 30
)

// warmAndCold is claim 1.
func warmAndCold(e evidence) (Finding, bool) {
	warm, okWarm := medianOfMedians(e, figures.InferenceWarm)
	cold, okCold := medianOfMedians(e, figures.InferenceCold)
	if !okWarm || !okCold {
		return Finding{}, false
	}
	f := Finding{
		Measured: fmt.Sprintf("warm %.0f ms, cold %.0f ms (median over %d and %d runs of each run's p50)",
			warm.Median, cold.Median, warm.Runs, cold.Runs),
		Note: "by construction: the pods simulate a model with these times; measured is that the way there adds little",
		Figures: map[string]float64{
			"warm_p50_ms": warm.Median, "cold_p50_ms": cold.Median,
		},
		Verdict: reportv1.Verdict_VERDICT_REPRODUCED,
	}
	if !within(warm.Median, warmLow, warmHigh) || !within(cold.Median, coldLow, coldHigh) {
		f.Verdict = reportv1.Verdict_VERDICT_NOT_REPRODUCED
		f.Note = "the pods simulate a model with these times, so what differs came from this machine or these settings"
	}
	return f, true
}

func within(v, low, high float64) bool {
	return v >= low*(1-latencySlack) && v <= high*(1+latencySlack)
}

func medianOfMedians(e evidence, histogram string) (figures.Range, bool) {
	var medians []float64
	for _, r := range e.results {
		p50, ok := figures.Percentile(r, histogram, 50)
		if ok && figures.Histogram(r, histogram).GetCount() >= minLatencySamples {
			medians = append(medians, p50)
		}
	}
	return figures.Over(medians)
}
