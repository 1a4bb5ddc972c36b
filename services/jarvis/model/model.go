// Package model says how long the simulated model takes and what it answers. It neither waits nor keeps state: callers
// wait on their own clock.
//
// The story's figures: a warm request takes about 100 ms, a cold one 850 to 900 ms, because the pod first loads the
// session's slice of the model (500 ms) and rebuilds its cache (250 to 300 ms).
//
//	cold = SliceLoad + uniform[CacheRebuildMin, CacheRebuildMax] + inference
//	warm = inference
//	inference = lognormal with the arithmetic mean InferenceMean
//
// With the defaults the fixed and uniform parts and the mean add up to exactly 850 to 900 ms, so the inference's spread
// decides how many cold requests fall outside: for a standard deviation s of the inference about 2*0.4*s/50ms of them. A
// sigma of 0.03 is an s of 3 ms: 5% fall outside, by a few milliseconds.
package model

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/smaran-v2/smaran/services/session"
)

// Timings are the model's durations, all 0 or more.
type Timings struct {
	// SliceLoad is what loading a session's slice of the model takes.
	SliceLoad time.Duration
	// CacheRebuildMin and CacheRebuildMax bound the uniform time of rebuilding a session's cache.
	CacheRebuildMin, CacheRebuildMax time.Duration
	// InferenceMean is the arithmetic mean of an inference.
	InferenceMean time.Duration
	// InferenceSigma is the standard deviation of the inference's logarithm, 0 to 1. A small one is nearly the relative
	// standard deviation of the inference itself.
	InferenceSigma float64
}

// Validate names the first value that is out of range.
func (t Timings) Validate() error {
	switch {
	case t.SliceLoad < 0:
		return fmt.Errorf("slice load is %v, expected 0 or more", t.SliceLoad)
	case t.CacheRebuildMin < 0 || t.CacheRebuildMax < t.CacheRebuildMin:
		return fmt.Errorf("cache rebuild is %v to %v, expected 0 <= min <= max", t.CacheRebuildMin, t.CacheRebuildMax)
	case t.InferenceMean < 0:
		return fmt.Errorf("mean inference is %v, expected 0 or more", t.InferenceMean)
	case !(t.InferenceSigma >= 0 && t.InferenceSigma <= 1):
		return fmt.Errorf("inference sigma is %v, expected 0 to 1", t.InferenceSigma)
	}
	return nil
}

// Model makes streams. It is immutable and safe for concurrent use.
type Model struct {
	timings Timings
	seed    uint64
	// mu is the mean of the inference's logarithm, in log nanoseconds.
	mu float64
}

// New returns a model whose every figure follows from the seed. The timings must be valid.
func New(t Timings, seed uint64) *Model {
	return &Model{
		timings: t,
		seed:    seed,
		mu:      math.Log(float64(t.InferenceMean)) - t.InferenceSigma*t.InferenceSigma/2,
	}
}

// Stream returns the figures of one session. They follow from the seed and the session alone, so that a session's n-th
// inference takes the same time however requests of other sessions interleave with it.
func (m *Model) Stream(id session.ID) *Stream {
	return &Stream{model: m, rng: rand.New(rand.NewPCG(m.seed, xxhash.Sum64String(string(id))))}
}

// Stream is not safe for concurrent use.
type Stream struct {
	model *Model
	rng   *rand.Rand
}

// Load is the time until a session that the pod does not hold is ready to compute.
func (s *Stream) Load() time.Duration {
	t := s.model.timings
	rebuild := t.CacheRebuildMin
	if spread := t.CacheRebuildMax - t.CacheRebuildMin; spread > 0 {
		rebuild += time.Duration(s.rng.Int64N(int64(spread) + 1))
	}
	return t.SliceLoad + rebuild
}

// Slice is the time until a session whose cache came from another pod is ready to compute: its slice of the model has to be loaded all
// the same.
func (s *Stream) Slice() time.Duration { return s.model.timings.SliceLoad }

// Inference is the time of computing one answer.
func (s *Stream) Inference() time.Duration {
	if s.model.timings.InferenceMean == 0 {
		return 0
	}
	return time.Duration(math.Exp(s.model.mu + s.model.timings.InferenceSigma*s.rng.NormFloat64()))
}
