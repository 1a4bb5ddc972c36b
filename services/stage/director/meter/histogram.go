package meter

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"google.golang.org/protobuf/proto"
)

// Microseconds from 1 to two minutes with three significant digits, as in a report.
const (
	lowest  = int64(1)
	highest = int64(2 * time.Minute / time.Microsecond)
	digits  = 3
)

type histogram struct{ hdr *hdrhistogram.Histogram }

func newHistogram() histogram { return histogram{hdrhistogram.New(lowest, highest, digits)} }

func (h histogram) record(d time.Duration) {
	_ = h.hdr.RecordValue(min(max(d.Microseconds(), 0), highest)) // in range, so it can't fail
}

// merge adds what another one counted, if anything: looking through an empty one takes as long as through a full one.
func (h histogram) merge(o histogram) {
	if o.hdr.TotalCount() > 0 {
		h.hdr.Merge(o.hdr)
	}
}

func (h histogram) reset() {
	if h.hdr.TotalCount() > 0 {
		h.hdr.Reset()
	}
}

// percentile is in milliseconds, absent where the values say nothing of it: by nearest rank the p99 of fewer than a hundred is their
// maximum, which is never too good a figure; below a tenth of what would separate the two it is left out. A report has the same rule.
func (h histogram) percentile(p float64) *float64 {
	if float64(h.hdr.TotalCount())*(100-p)/100 < 0.1-1e-9 {
		return nil
	}
	return proto.Float64(float64(h.hdr.ValueAtPercentile(p)) / 1000)
}
