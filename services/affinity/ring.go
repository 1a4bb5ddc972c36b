package affinity

import (
	"fmt"
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
	// hashes is sorted, and followed by the largest uint64 so that a search always ends inside it.
	hashes []uint64
	// owners[i] is the host of hashes[i]; the one after the last is the first again, which is the wrap-around.
	owners []uint32
	// first[b] is the index of the first hash whose top bits are b or more. XXH64 spreads evenly, so it
	// lies within an entry or two of the answer, whatever the size of the ring.
	first []uint32
	shift uint8
	hosts int
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
	r := &Ring{hosts: len(hosts)}
	if len(hosts) == 0 {
		return r, nil
	}
	scale := min(math.Ceil(n.min*float64(minSize))/n.min, float64(maxSize))
	r.sort(place(hosts, n.shares, scale))
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

type entry struct {
	hash uint64
	host uint32
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
			entries = append(entries, entry{hash: xxhash.Sum64(buf), host: uint32(i)})
			current++
		}
	}
	return entries
}

// sort fills the ring from entries: one counting sort over the top bits, whose counters are the index that Pick
// needs, then one pass of insertion sort, in which an entry moves only within its bucket of about one.
func (r *Ring) sort(entries []entry) {
	width := bits.Len(uint(len(entries)))
	r.shift = uint8(64 - width)
	r.first = make([]uint32, 1<<width)
	for _, e := range entries {
		r.first[e.hash>>r.shift]++
	}
	var sum uint32
	for b, count := range r.first {
		sum += count
		r.first[b] = sum
	}
	r.hashes = make([]uint64, len(entries)+1)
	r.owners = make([]uint32, len(entries)+1)
	// Backwards, each counter runs down from its bucket's end to its start, and equal hashes keep their order.
	for i := len(entries) - 1; i >= 0; i-- {
		e := &entries[i]
		b := e.hash >> r.shift
		r.first[b]--
		at := r.first[b]
		r.hashes[at], r.owners[at] = e.hash, e.host
	}
	for i := 1; i < len(entries); i++ {
		hash, owner := r.hashes[i], r.owners[i]
		at := i
		for ; at > 0 && r.hashes[at-1] > hash; at-- {
			r.hashes[at], r.owners[at] = r.hashes[at-1], r.owners[at-1]
		}
		r.hashes[at], r.owners[at] = hash, owner
	}
	r.hashes[len(entries)] = math.MaxUint64
	r.owners[len(entries)] = r.owners[0]
}

// Pick implements Picker. attempt k takes the k-th entry after the one that the hash belongs to, which may be the
// same host's again.
func (r *Ring) Pick(hash uint64, attempt uint32) int {
	if len(r.first) == 0 {
		return -1
	}
	at := r.first[hash>>r.shift]
	for r.hashes[at] < hash {
		at++
	}
	if attempt > 0 {
		at = uint32((uint64(at) + uint64(attempt)) % uint64(r.Size()))
	}
	return int(r.owners[at])
}

// Len implements Picker.
func (r *Ring) Len() int { return r.hosts }

// Size is the number of entries on the ring.
func (r *Ring) Size() int { return max(len(r.hashes)-1, 0) }

// Counts is the number of entries of each host, in the order of the hosts.
func (r *Ring) Counts() []int {
	counts := make([]int, r.hosts)
	for _, owner := range r.owners[:r.Size()] {
		counts[owner]++
	}
	return counts
}
