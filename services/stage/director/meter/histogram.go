package meter

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"google.golang.org/protobuf/proto"

	"github.com/smaran-v2/smaran/services/measure"
)

type histogram struct{ hdr *hdrhistogram.Histogram }

func newHistogram() histogram { return histogram{measure.NewHistogram()} }

func (h histogram) record(d time.Duration) { measure.Record(h.hdr, d) }

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

// percentile is in milliseconds, absent where the values say nothing of it.
func (h histogram) percentile(p float64) *float64 {
	if !measure.Supports(h.hdr.TotalCount(), p) {
		return nil
	}
	return proto.Float64(float64(h.hdr.ValueAtPercentile(p)) / 1000)
}
