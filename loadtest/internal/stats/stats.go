// Package stats compares repeated runs: bootstrap intervals of one figure a run, and of the paired differences between two
// backends.
//
// It takes one figure of each run and gives the median over runs. It never averages percentiles, and never pools the
// samples of runs: the runs are what repeats.
package stats

import (
	"math/rand/v2"
	"slices"
)

// Confidence of every interval.
const Confidence = 0.95

// resamples of a bootstrap; the ends of a 95% interval then rest on fifty each.
const resamples = 2000

// Interval is a median and where it may lie.
type Interval struct{ Estimate, Low, High float64 }

// Bootstrap resamples the runs with replacement and takes the percentile interval of their median. With one value there is
// nothing to resample, and low and high are the estimate. It panics without any.
func Bootstrap(random *rand.Rand, values []float64) Interval {
	estimate := median(slices.Clone(values))
	medians := make([]float64, resamples)
	sample := make([]float64, len(values))
	for i := range medians {
		for k := range sample {
			sample[k] = values[random.IntN(len(values))]
		}
		medians[i] = median(sample)
	}
	slices.Sort(medians)
	tail := (1 - Confidence) / 2
	return Interval{
		Estimate: estimate,
		Low:      medians[int(tail*resamples)],
		High:     medians[resamples-1-int(tail*resamples)],
	}
}

// median sorts its argument.
func median(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	if n%2 == 1 {
		return values[n/2]
	}
	return (values[n/2-1] + values[n/2]) / 2
}
