package experiments

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/smaran-v2/smaran/services/affinity"
)

// sessions draws n session ids.
func sessions(r *rand.Rand, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%016x%016x", r.Uint64(), r.Uint64())
	}
	return out
}

// hosts draws n different addresses of pods.
func hosts(r *rand.Rand, n int) []affinity.Host {
	seen := map[string]bool{}
	out := make([]affinity.Host, 0, n)
	for len(out) < n {
		a := fmt.Sprintf("10.%d.%d.%d:8080", r.IntN(256), r.IntN(256), 1+r.IntN(254))
		if !seen[a] {
			seen[a] = true
			out = append(out, affinity.Host{Address: a})
		}
	}
	return out
}

// mean is the arithmetic mean; of nothing it is 0.
func mean(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	var sum float64
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

// percentileOf is the smallest of the durations that at least a share p (0 to 1) of them do not exceed. It sorts them in place.
func percentileOf(d []time.Duration, p float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	i := int(math.Ceil(p*float64(len(d)))) - 1
	return d[min(max(i, 0), len(d)-1)]
}

// peakByMean is the load of the most loaded host by the mean, over hosts with these loads.
func peakByMean(load []int) float64 {
	sum := 0
	for _, n := range load {
		sum += n
	}
	if sum == 0 {
		return 0
	}
	return float64(slices.Max(load)) * float64(len(load)) / float64(sum)
}
