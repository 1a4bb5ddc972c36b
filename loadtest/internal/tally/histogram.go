package tally

import (
	"fmt"
	"io"
	"math"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
	"github.com/smaran-v2/smaran/services/measure"
)

// Histogram counts durations.
type Histogram struct{ hdr *hdrhistogram.Histogram }

// NewHistogram is empty.
func NewHistogram() Histogram { return Histogram{measure.NewHistogram()} }

// Record adds one duration.
func (h Histogram) Record(d time.Duration) { measure.Record(h.hdr, d) }

// Merge adds what another one counted.
func (h Histogram) Merge(o Histogram) { h.hdr.Merge(o.hdr) }

// Count is the number of values.
func (h Histogram) Count() int64 { return h.hdr.TotalCount() }

// Quantile is the smallest recorded value that a share q (0 to 1) of all values does not exceed, rounded to three digits.
func (h Histogram) Quantile(q float64) time.Duration {
	return time.Duration(h.hdr.ValueAtPercentile(q*100)) * time.Microsecond
}

// Max is the largest value, rounded up to three digits.
func (h Histogram) Max() time.Duration { return time.Duration(h.hdr.Max()) * time.Microsecond }

// shown are the percentiles of the report.
var shown = [...]float64{50, 75, 90, 99, 99.9}

// Proto is the histogram in milliseconds, with one bucket a distinct range of values.
func (h Histogram) Proto() *reportv1.Histogram {
	n := h.hdr.TotalCount()
	out := &reportv1.Histogram{Count: uint64(n)}
	if n == 0 {
		return out
	}
	out.Min, out.Max = ms(h.hdr.Min()), ms(h.hdr.Max())
	out.Avg, out.StdDev = h.hdr.Mean()/1000, h.hdr.StdDev()/1000
	out.Sum = out.Avg * float64(n)
	for _, p := range shown {
		if measure.Supports(n, p) {
			out.Percentiles = append(out.Percentiles, &reportv1.Percentile{Percentile: p, Value: ms(h.hdr.ValueAtPercentile(p))})
		}
	}
	out.Data = buckets(h.hdr)
	return out
}

// bucketsPerDouble is how finely the report's buckets divide each doubling of the value.
const bucketsPerDouble = 8

// buckets groups the histogram's thousands of bars into ranges that grow by 9%: few enough for a page, fine enough for a curve.
func buckets(h *hdrhistogram.Histogram) []*reportv1.Bucket {
	var out []*reportv1.Bucket
	total, seen, last := h.TotalCount(), int64(0), math.MinInt
	for _, bar := range h.Distribution() {
		if bar.Count == 0 {
			continue
		}
		seen += bar.Count
		k := bucketOf(bar.To)
		if k != last {
			out = append(out, &reportv1.Bucket{Start: edge(k), End: edge(k + 1)})
			last = k
		}
		b := out[len(out)-1]
		b.Count += uint64(bar.Count)
		b.Percent = 100 * float64(seen) / float64(total)
	}
	return out
}

func bucketOf(us int64) int {
	return int(math.Floor(math.Log2(float64(max(us, 1))/1000) * bucketsPerDouble))
}

func edge(bucket int) float64 { return math.Exp2(float64(bucket) / bucketsPerDouble) }

func ms(us int64) float64 { return float64(us) / 1000 }

// Millis is a duration as the report has it.
func Millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// WriteHGRM writes the percentile distribution in the text form that HdrHistogram's plotter reads, in milliseconds.
func (h Histogram) WriteHGRM(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)"); err != nil {
		return err
	}
	for _, b := range h.hdr.CumulativeDistribution() {
		q := b.Quantile / 100
		inverse := "Infinity"
		if q < 1 {
			inverse = fmt.Sprintf("%.2f", 1/(1-q))
		}
		if _, err := fmt.Fprintf(w, "%12.3f %2.12f %10d %14s\n", ms(b.ValueAt), q, b.Count, inverse); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n#[Max     = %12.3f, Total count    = %12d]\n",
		h.hdr.Mean()/1000, h.hdr.StdDev()/1000, ms(h.hdr.Max()), h.hdr.TotalCount())
	return err
}
