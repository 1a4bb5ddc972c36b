// Package figures reads figures out of the results of a report.
//
// It keeps apart what was measured as zero and what was not measured at all: each reader also says whether the figure
// exists. It sums counts over repeats together with their denominators, and never averages percentiles: over repeats it gives the
// median of each run's own percentile with the lowest and the highest. It judges nothing and draws nothing.
package figures

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
	"github.com/smaran-v2/smaran/services/wire"
)

// Names of Result.counts. Those that a stage shows as well stand in package wire.
const (
	Misroutes = wire.CountMisroutes
	// MisroutedRequests are the inferences among the Misroutes: the part that has the requests as its denominator.
	MisroutedRequests  = wire.CountMisroutedRequests
	SignalReconnects   = wire.CountSignalReconnects
	MediaInterruptions = wire.CountMediaInterruptions
	Renegotiations     = wire.CountRenegotiations
	Migrations         = wire.CountMigrations
	DroppedCalls       = wire.CountDroppedCalls
	SetupFailures      = wire.CountSetupFailures
	StateLost          = wire.CountStateLost
	ColdStarts         = wire.CountColdStarts
	Unspoken           = wire.CountUnspoken
	Forwards           = wire.CountForwards
	RequestsFailed     = wire.CountRequestsFailed
	MovedSessions      = "moved_sessions"
	Mispredicted       = "mispredicted_sessions"
	GapsOver60ms       = wire.CountGapsOver60ms
	GapsOver1s         = wire.CountGapsOver1s
	// DroppedNoMedia and DroppedStateLost add up to DroppedCalls.
	DroppedNoMedia   = wire.CountDroppedNoMedia
	DroppedStateLost = wire.CountDroppedStateLost
	// CallsDownAtEnd were not up when the run ended.
	CallsDownAtEnd = "calls_down_at_end"
	// ScatteredSessions were served by more than one pod while no endpoint changed.
	ScatteredSessions = "scattered_sessions"
)

// Names of Result.histograms, all in milliseconds.
const (
	Inference     = "inference_ms"
	InferenceWarm = "inference_warm_ms"
	InferenceCold = "inference_cold_ms"
	Setup         = "setup_ms"
	Gap           = "gap_ms"
	GapMoved      = "gap_moved_ms"
	GapUnmoved    = "gap_unmoved_ms"
	Route         = "route_ms"
)

// Classes are the disconnect classes, the worst first. They are never added up; a dropped call is one of two.
func Classes() []string {
	return []string{
		DroppedNoMedia, DroppedStateLost, StateLost, MediaInterruptions, Renegotiations, Misroutes, SetupFailures, SignalReconnects, Migrations,
	}
}

// Count is a result's count of that name, and whether it was counted.
func Count(r *reportv1.Result, name string) (uint64, bool) {
	n, ok := r.GetCounts()[name]
	return n, ok
}

// Histogram is a result's histogram of that name, or nil where it has no samples.
func Histogram(r *reportv1.Result, name string) *reportv1.Histogram {
	if h := r.GetHistograms()[name]; h.GetCount() > 0 {
		return h
	}
	return nil
}

// Percentile is a result's own percentile (50, 99, 99.9, …) in milliseconds, and whether its samples support it.
func Percentile(r *reportv1.Result, histogram string, percentile float64) (float64, bool) {
	for _, p := range Histogram(r, histogram).GetPercentiles() {
		if p.GetPercentile() == percentile {
			return p.GetValue(), true
		}
	}
	return 0, false
}

// Range is one figure over repeats.
type Range struct {
	Median, Low, High float64
	// Runs is the number of repeats that have the figure.
	Runs int
}

// Over is the range of values, and false without any.
func Over(values []float64) (Range, bool) {
	if len(values) == 0 {
		return Range{}, false
	}
	s := slices.Sorted(slices.Values(values))
	mid := s[len(s)/2]
	if len(s)%2 == 0 {
		mid = (s[len(s)/2-1] + s[len(s)/2]) / 2
	}
	return Range{Median: mid, Low: s[0], High: s[len(s)-1], Runs: len(s)}, true
}

// MaxLateShare of requests that left late (report.v1, Generator.late_share), 0 to 1, makes a run invalid when it is exceeded.
const MaxLateShare = 0.05

// backendOrder is the order in which backends are shown: from the negative control to what the story ended with.
var backendOrder = [...]string{
	"roundrobin", "redis-plain", "redis", "app-hash", "istio-hash", "stateful-header", "stateful-cookie", "handoff",
}

// CompareBackends orders backends for display; a backend with a policy (istio-hash:maglev) follows the plain one, and
// names that are not known come last, by name.
func CompareBackends(a, b string) int {
	return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b))
}

func rank(backend string) int {
	if i := slices.Index(backendOrder[:], Base(backend)); i >= 0 {
		return i
	}
	return len(backendOrder)
}

// Base is a backend's name without its policy.
func Base(backend string) string {
	base, _, _ := strings.Cut(backend, ":")
	return base
}

// Names lists the keys of a count map, sorted.
func Names(counts map[string]uint64) []string {
	return slices.Sorted(maps.Keys(counts))
}
