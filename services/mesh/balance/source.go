package balance

import "sync/atomic"

// Source makes 64-bit numbers that many goroutines share without a lock: SplitMix64 (Steele, Lea and Flood, 2014)
// over an atomic counter. It is a rand.Source. The same seed gives the same numbers, in the order of the calls.
type Source struct{ state atomic.Uint64 }

// NewSource starts a source at seed.
func NewSource(seed uint64) *Source {
	r := &Source{}
	r.state.Store(seed)
	return r
}

// Uint64 implements rand.Source.
func (r *Source) Uint64() uint64 {
	z := r.state.Add(0x9e3779b97f4a7c15)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// below returns a number below n. The bias of the remainder is that of Envoy.
func (r *Source) below(n int) int { return int(r.Uint64() % uint64(n)) }
