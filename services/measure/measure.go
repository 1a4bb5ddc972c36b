// Package measure is how a report and a stage count alike: what a histogram holds, which percentiles it supports, and when a request was late.
// What they count, and where they show it, is theirs.
package measure

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// LateBy is how long after its intended time a request may leave, and still be on time: one frame of audio.
const LateBy = 20 * time.Millisecond

// A histogram holds microseconds from 1 to two minutes with three significant digits. What is longer counts as two
// minutes, which is longer than any time-out here.
const (
	lowest  = int64(1)
	highest = int64(2 * time.Minute / time.Microsecond)
	digits  = 3
)

// NewHistogram is empty, and counts microseconds.
func NewHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(lowest, highest, digits) }

// Record adds one duration to a histogram of NewHistogram's.
func Record(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(min(max(d.Microseconds(), 0), highest)) // in range, so it can't fail
}

// Supports says whether n values say anything of a percentile, 0 to 100. By nearest rank, the p99 of fewer than a hundred values is their
// maximum, which is never too good a figure; below a tenth of what would separate the two it is left out.
func Supports(n int64, percentile float64) bool {
	return float64(n)*(100-percentile)/100 >= 0.1-1e-9
}
