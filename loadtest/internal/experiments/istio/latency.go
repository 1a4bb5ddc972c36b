package istio

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/smaran-v2/smaran/loadtest/internal/probe"
	"github.com/smaran-v2/smaran/loadtest/internal/stats"
)

// way is one of several ways to do the same, to be compared.
type way struct {
	client string
	batch  probe.Batch
}

// rounds of requests over one way, in the order in which they were measured.
type rounds [][]time.Duration

// interleaved measures the ways in turn, every second round backwards, so that what drifts drifts for all. It fails with ErrProbe if a
// request fails: a refusal may be quick, and is no latency.
func (n *namespace) interleaved(ctx context.Context, times int, ways ...way) ([]rounds, error) {
	out := make([]rounds, len(ways))
	for _, w := range ways { // the first requests connect, shake hands and look names up
		w.batch.Requests = max(w.batch.Requests/4, w.batch.Concurrency)
		if _, err := n.measure(ctx, w); err != nil {
			return nil, err
		}
	}
	for round := range times {
		order := make([]int, len(ways))
		for i := range order {
			order[i] = i
		}
		if round%2 == 1 {
			slices.Reverse(order)
		}
		for _, i := range order {
			took, err := n.measure(ctx, ways[i])
			if err != nil {
				return nil, err
			}
			out[i] = append(out[i], took)
		}
	}
	return out, nil
}

func (n *namespace) measure(ctx context.Context, w way) ([]time.Duration, error) {
	answers, err := n.ask(ctx, w.client, w.batch)
	if err != nil {
		return nil, err
	}
	took := make([]time.Duration, 0, len(answers))
	for _, a := range answers {
		if !a.OK() {
			return nil, fmt.Errorf("%w: %s from %s: %s", ErrProbe, w.batch.URL, w.client, reason(a))
		}
		took = append(took, a.Took)
	}
	if len(took) == 0 {
		return nil, fmt.Errorf("%w: %s from %s: no answer in time", ErrProbe, w.batch.URL, w.client)
	}
	return took, nil
}

// requests is how many were measured.
func (r rounds) requests() (sum int) {
	for _, round := range r {
		sum += len(round)
	}
	return sum
}

// at is the median over the rounds of the percentile p (0 to 1) of each, in milliseconds.
func (r rounds) at(p float64) float64 { return estimate(r.each(p)).Estimate }

// each is the percentile of each round, in milliseconds.
func (r rounds) each(p float64) (out []float64) {
	for _, round := range r {
		out = append(out, ms(percentile(slices.Clone(round), p)))
	}
	return out
}

// estimate is the median over rounds. The draw is always the same, so that a judge says the same of the same rounds.
func estimate(values []float64) stats.Interval {
	return stats.Bootstrap(rand.New(rand.NewPCG(1, 1)), values)
}

// percentile is the smallest duration that at least a share p of them do not exceed; 0 of none. It sorts them in place.
func percentile(d []time.Duration, p float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[min(max(int(math.Ceil(p*float64(len(d))))-1, 0), len(d)-1)]
}

// difference of a percentile between two ways in milliseconds, with what two equal ways differ by.
type difference struct {
	// by is the median over the rounds of other minus base; negative is faster. low and high are its 95% interval.
	by, low, high float64
	// spread is how far from nothing the same interval of base and the same again reaches: less is noise.
	spread float64
}

// between compares round by round. Worked example: base 1, 1, 2, 1 ms, again 1, 1, 2, 2 ms, other 3, 3, 4, 3 ms: by 2 ms, from 2 to 2;
// equal ways differ by 0, 0, 0 and 1 ms, whose median may be 1, so spread is 1 ms.
func between(base, again, other rounds, p float64) difference {
	b := base.each(p)
	found, control := estimate(minus(other.each(p), b)), estimate(minus(again.each(p), b))
	return difference{found.Estimate, found.Low, found.High, max(math.Abs(control.Low), math.Abs(control.High))}
}

func minus(a, b []float64) (out []float64) {
	for i := range b {
		out = append(out, a[i]-b[i])
	}
	return out
}

// tells is whether the difference is more than equal ways differ by.
func (d difference) tells() bool { return d.low > d.spread || d.high < -d.spread }

// faster is whether the difference tells that other is.
func (d difference) faster() bool { return d.high < -d.spread }

func (d difference) String() string {
	return fmt.Sprintf("%+.2f ms (95%%: %+.2f to %+.2f; equal ways: %.2f)", d.by, d.low, d.high, d.spread)
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// String is its percentiles in words.
func (r rounds) String() string {
	return fmt.Sprintf("p50 %.2f ms, p99 %.2f", r.at(0.50), r.at(0.99))
}
