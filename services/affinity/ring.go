package affinity

import (
	"fmt"
	"iter"
	"math"
	"math/bits"
	"strconv"

	"github.com/cespare/xxhash/v2"
)

// Sizes of a ring in entries, from ring_hash_lb.h and the field rules of ring_hash.proto.
const (
	DefaultMinRingSize = 1024
	DefaultMaxRingSize = 8 << 20
	ringSizeLimit      = 8 << 20
)

// Ring is Envoy's ring hash (extensions/load_balancing_policies/ring_hash/ring_hash_lb.cc).
//
// Each host owns entries at XXH64(key+"_0"), XXH64(key+"_1"), … on a circle of 64 bits, as many as its share of
// the ring. A hash belongs to the first entry at or after it, past the last one to the first.
//
// Invariants:
//   - The ring has at least MinRingSize entries unless MaxRingSize is smaller, and every host of the least weight
//     has ceil(share*MinRingSize) of them, up to float64 rounding of the running sum, which depends on the order
//     of the hosts.
//   - A host's entries are always its first ones, _0 to _(count-1): a host that loses entries loses the last.
//   - A hash changes its host only if its entry went away or a new entry came between the two. Entries also go
//     away from hosts that stay, since more hosts means fewer entries each: unlike consistent hashing in
//     theory, sessions move between hosts that were there all along.
//
// Example: 10.0.0.1:8080, 10.0.0.2:8080 and 10.0.0.3:8080 with MinRingSize 1024. Each share is 1/3, so a host gets
// ceil(1024/3) = 342 entries and the ring has 1026. XXH64("session-1") is 12724926790740281283; the first entry at
// or after it belongs to 10.0.0.2:8080. A fourth host leaves each with 256: the first three give up their entries
// _256 to _341, and 35% of the sessions move where 25% would do.
//
// Entries with equal hashes keep the order of the hosts; Envoy leaves theirs unspecified (std::sort). They occur
// in practice only where two hosts share one HashKey.
type Ring struct {
	// entries is sorted by hash. Past the last entry comes the first one's host again, with the largest hash: a search
	// always ends inside, and the wrap-around costs nothing.
	entries []entry
	// first[b] is the index of the first entry whose hash has b or more in its top bits, which are those above shift.
	// XXH64 spreads evenly, so the entry that a hash belongs to is that one or the next, seldom a later one,
	// whatever the size of the ring.
	first []uint32
	shift uint8
	hosts int
}

type entry struct {
	hash uint64
	host int32
}

// NewRing builds the ring of hosts, in the order of the endpoint discovery response. It fails with ErrOptions or
// ErrWeights.
func NewRing(hosts []Host, o Options) (*Ring, error) {
	minSize, maxSize, err := o.ringSizes()
	if err != nil {
		return nil, err
	}
	n, err := normalize(hosts)
	if err != nil {
		return nil, err
	}
	scale := min(math.Ceil(n.min*float64(minSize))/n.min, float64(maxSize))
	r := &Ring{hosts: len(hosts)}
	r.arrange(place(hosts, n.shares, scale))
	return r, nil
}

func (o Options) ringSizes() (minSize, maxSize uint64, err error) {
	minSize, maxSize = o.MinRingSize, o.MaxRingSize
	if minSize == 0 {
		minSize = DefaultMinRingSize
	}
	if maxSize == 0 {
		maxSize = DefaultMaxRingSize
	}
	if minSize > ringSizeLimit || maxSize > ringSizeLimit {
		return 0, 0, fmt.Errorf("%w: ring sizes %d to %d, want at most %d entries", ErrOptions, minSize, maxSize, ringSizeLimit)
	}
	if minSize > maxSize {
		return 0, 0, fmt.Errorf("%w: minimum ring size %d is above the maximum %d", ErrOptions, minSize, maxSize)
	}
	return minSize, maxSize, nil
}

// place makes the entries of every host, unsorted.
func place(hosts []Host, shares []float64, scale float64) []entry {
	entries := make([]entry, 0, int(math.Ceil(scale))+1)
	var buf []byte
	current, target := 0.0, 0.0
	for i, h := range hosts {
		// The conversion forbids a fused multiply-add, which would round once instead of twice and move an entry
		// from one host to another on arm64, ppc64 and s390x.
		target += float64(scale * shares[i])
		buf = append(append(buf[:0], h.Key()...), '_')
		prefix := len(buf)
		for v := uint64(0); current < target; v++ {
			buf = strconv.AppendUint(buf[:prefix], v, 10)
			entries = append(entries, entry{hash: xxhash.Sum64(buf), host: int32(i)})
			current++
		}
	}
	return entries
}

// arrange fills the ring from entries: one counting sort over the top bits, whose counters are the index that Pick
// needs, then one pass of insertion sort, in which an entry moves only within its bucket.
func (r *Ring) arrange(entries []entry) {
	// Two to four buckets an entry: more would mispredict fewer branches and miss the cache more often.
	width := bits.Len(uint(len(entries))) + 1
	r.shift = uint8(64 - width)
	r.first = make([]uint32, 1<<width)
	for i := range entries {
		r.first[entries[i].hash>>r.shift]++
	}
	var sum uint32
	for b, count := range r.first {
		sum += count
		r.first[b] = sum
	}
	r.entries = make([]entry, len(entries)+1)
	// Backwards, each counter runs down from its bucket's end to its start, and equal hashes keep their order.
	for i := len(entries) - 1; i >= 0; i-- {
		b := entries[i].hash >> r.shift
		r.first[b]--
		r.entries[r.first[b]] = entries[i]
	}
	for i := 1; i < len(entries); i++ {
		e, at := r.entries[i], i
		for ; at > 0 && r.entries[at-1].hash > e.hash; at-- {
			r.entries[at] = r.entries[at-1]
		}
		r.entries[at] = e
	}
	wrap := entry{hash: math.MaxUint64, host: -1}
	if len(entries) > 0 {
		wrap.host = r.entries[0].host
	}
	r.entries[len(entries)] = wrap
}

// Pick implements Picker. attempt k takes the k-th entry after the one that the hash belongs to, which may be the
// same host's again.
func (r *Ring) Pick(hash uint64, attempt uint32) int {
	// The mask changes nothing, but tells the compiler that no shift is too far.
	at := r.first[hash>>(r.shift&63)]
	// The step that is often taken is an addition, not a branch to mispredict.
	_, before := bits.Sub64(r.entries[at].hash, hash, 0)
	at += uint32(before)
	for r.entries[at].hash < hash {
		at++
	}
	if attempt > 0 {
		return r.retry(at, attempt)
	}
	return int(r.entries[at].host)
}

func (r *Ring) retry(at, attempt uint32) int {
	if size := uint64(r.Size()); size > 0 {
		at = uint32((uint64(at) + uint64(attempt)) % size)
	}
	return int(r.entries[at].host)
}

// Len implements Picker.
func (r *Ring) Len() int { return r.hosts }

// Size is the number of entries on the ring.
func (r *Ring) Size() int { return len(r.entries) - 1 }

// Counts is the number of entries of each host, in the order of the hosts.
func (r *Ring) Counts() []int {
	counts := make([]int, r.hosts)
	for _, e := range r.entries[:r.Size()] {
		counts[e.host]++
	}
	return counts
}

// Entries are the ring's entries in the order of their hashes, each with its host's index.
func (r *Ring) Entries() iter.Seq2[uint64, int] {
	return func(yield func(uint64, int) bool) {
		for _, e := range r.entries[:r.Size()] {
			if !yield(e.hash, int(e.host)) {
				return
			}
		}
	}
}
