package affinity

import (
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// Sizes of a Maglev table in entries, from maglev_lb.h and the field rules of maglev.proto.
const (
	DefaultTableSize = 65537
	tableSizeLimit   = 5000011
)

// Maglev is Envoy's Maglev (extensions/load_balancing_policies/maglev/maglev_lb.cc).
//
// The hosts, sorted by key, take turns at filling a table of prime size M. Host h prefers the slots
// offset, offset+skip, offset+2*skip, … modulo M, with offset = XXH64(key, 0) % M and
// skip = XXH64(key, 1) % (M-1) + 1, and takes its first free one in each turn. A hash belongs to slot hash % M.
//
// Invariants:
//   - With equal weights the hosts' slots differ by at most one, for any number of hosts.
//   - A host of a smaller weight sits turns out, so that its slots are in proportion.
//   - The order of the hosts does not matter, unless two share one HashKey.
//   - It moves close to the fewest sessions possible, not exactly the fewest: a new host's turns shift
//     the turns of the others.
//
// Example: 10.0.0.1:8080 to 10.0.0.3:8080 with M = 65537. XXH64("10.0.0.1:8080") is 14670231106277521029 with seed 0
// and 1007937632875426856 with seed 1. XXH64("session-1") % M is a slot of 10.0.0.3:8080.
type Maglev struct {
	table []uint32
	hosts int
}

// NewMaglev builds the table of hosts. It fails with ErrOptions or ErrWeights.
func NewMaglev(hosts []Host, o Options) (*Maglev, error) {
	size, err := o.tableSize()
	if err != nil {
		return nil, err
	}
	n, err := normalize(hosts)
	if err != nil {
		return nil, err
	}
	m := &Maglev{hosts: len(hosts)}
	if len(hosts) > 0 {
		m.table = fill(preferences(hosts, n.shares, size), n.max, size)
	}
	return m, nil
}

func (o Options) tableSize() (uint64, error) {
	size := o.TableSize
	if size == 0 {
		size = DefaultTableSize
	}
	// ProbablyPrime(0) is exact below 2^64.
	if size > tableSizeLimit || !new(big.Int).SetUint64(size).ProbablyPrime(0) {
		return 0, fmt.Errorf("%w: Maglev table size %d, want a prime up to %d, for example %d",
			ErrOptions, size, tableSizeLimit, DefaultTableSize)
	}
	return size, nil
}

// preference is a host's walk over the table.
type preference struct {
	host   uint32
	slot   uint64 // the slot it wants next
	skip   uint64 // below the table's size
	share  float64
	target float64 // share*turn from which on the host takes part
}

func preferences(hosts []Host, shares []float64, size uint64) []preference {
	order := make([]int, len(hosts))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return strings.Compare(hosts[a].Key(), hosts[b].Key()) })
	entries := make([]preference, len(hosts))
	for i, h := range order {
		key := hosts[h].Key()
		entries[i] = preference{
			host:  uint32(h),
			slot:  xxhash.Sum64String(key) % size,
			skip:  seeded(key, 1)%(size-1) + 1,
			share: shares[h],
		}
	}
	return entries
}

func fill(entries []preference, maxShare float64, size uint64) []uint32 {
	const free = ^uint32(0)
	table := make([]uint32, size)
	for i := range table {
		table[i] = free
	}
	for turn, filled := uint32(1), uint64(0); ; turn++ {
		for i := range entries {
			e := &entries[i]
			if float64(turn)*e.share < e.target {
				continue
			}
			e.target += maxShare
			for table[e.slot] != free {
				e.advance(size)
			}
			table[e.slot] = e.host
			e.advance(size)
			if filled++; filled == size {
				return table
			}
		}
	}
}

// advance goes to the next wanted slot. Adding the skip each time is (offset + skip*next) % size without the division.
func (e *preference) advance(size uint64) {
	if e.slot += e.skip; e.slot >= size {
		e.slot -= size
	}
}

// Pick implements Picker. attempt k mutates the hash by its high bits and looks again, so it may be the same host.
func (m *Maglev) Pick(hash uint64, attempt uint32) int {
	if len(m.table) == 0 {
		return -1
	}
	if attempt > 0 {
		hash ^= ^uint64(0) - uint64(attempt) + 1
	}
	return int(m.table[hash%uint64(len(m.table))])
}

// Len implements Picker.
func (m *Maglev) Len() int { return m.hosts }

// Counts is the number of slots of each host, in the order of the hosts.
func (m *Maglev) Counts() []int {
	counts := make([]int, m.hosts)
	for _, owner := range m.table {
		counts[owner]++
	}
	return counts
}

// Size is the number of slots, 0 without hosts.
func (m *Maglev) Size() int { return len(m.table) }

// Host is the host's index that a slot, 0 to Size-1, belongs to.
func (m *Maglev) Host(slot int) int { return int(m.table[slot]) }
