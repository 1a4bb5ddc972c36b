package affinity

import (
	"encoding/binary"
	"math"

	"github.com/cespare/xxhash/v2"
)

// Rendezvous is highest random weight hashing (Thaler and Ravishankar, 1998), with weights after the logarithmic
// method (Schindelhauer and Schomaker, 2005). It is this project's own: the rendezvous policy on Envoy's main branch
// mixes differently, and no release up to 1.40 has it.
//
// A host draws the upper 52 bits d of XXH64, seed 0, of 16 bytes: the hash, then XXH64(key), both little endian. With
// equal weights the highest d wins. Otherwise x is (d + 0.5) / 2^52, strictly between 0 and 1, and the highest
// weight / -ln(x) wins, which gives each host its share of the weight.
//
// Invariants:
//   - A hash moves only to a host that came, from a host that went, to a host whose weight grew or from one whose
//     weight shrank. No policy that spreads the load evenly moves fewer.
//   - The order of the hosts does not matter, unless two share one HashKey; then the earlier one wins.
//   - Shares are even in expectation only. A pick costs one XXH64 a host.
//
// Example: session-1 hashes to 12724926790740281283 and is drawn for by each of 10.0.0.1:8080 to 10.0.0.3:8080. Adding
// 10.0.0.4:8080 makes a fourth draw and leaves the three as they are: the session stays, or moves to
// 10.0.0.4:8080.
type Rendezvous struct {
	keys []uint64 // XXH64 of each host's key
	// weights is nil where all are equal.
	weights []float64
}

// NewRendezvous builds a picker over hosts. It fails with ErrWeights.
func NewRendezvous(hosts []Host) (*Rendezvous, error) {
	n, err := normalize(hosts)
	if err != nil {
		return nil, err
	}
	r := &Rendezvous{keys: make([]uint64, len(hosts))}
	for i, h := range hosts {
		r.keys[i] = xxhash.Sum64String(h.Key())
	}
	if n.min < n.max {
		r.weights = n.shares
	}
	return r, nil
}

// Pick implements Picker. attempt k is the host that ranks k-th after the winner, starting over past the last, so
// that each retry reaches another host while there is one.
func (r *Rendezvous) Pick(hash uint64, attempt uint32) int {
	if len(r.keys) == 0 {
		return -1
	}
	last, lastScore := -1, math.Inf(1)
	for range int(attempt%uint32(len(r.keys))) + 1 {
		next, nextScore := -1, math.Inf(-1)
		for i := range r.keys {
			s := r.score(hash, i)
			ranked := s > lastScore || s == lastScore && i <= last
			if !ranked && s > nextScore {
				next, nextScore = i, s
			}
		}
		last, lastScore = next, nextScore
	}
	return last
}

// Len implements Picker.
func (r *Rendezvous) Len() int { return len(r.keys) }

func (r *Rendezvous) score(hash uint64, host int) float64 {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:8], hash)
	binary.LittleEndian.PutUint64(b[8:], r.keys[host])
	d := float64(xxhash.Sum64(b[:]) >> 12)
	if r.weights == nil {
		return d
	}
	return r.weights[host] / -math.Log((d+0.5)/(1<<52))
}
