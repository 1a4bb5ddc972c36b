package affinity_test

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/smaran-v2/smaran/services/affinity"
)

// TestRendezvousIsTheHighestDraw pins down the mixing, so that another language can do the same.
func TestRendezvousIsTheHighestDraw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hosts := drawHosts(1, 20).Draw(t, "hosts")
		hash := drawHash().Draw(t, "hash")
		draws := make([]uint64, len(hosts))
		for i, h := range hosts {
			b := binary.LittleEndian.AppendUint64(nil, hash)
			b = binary.LittleEndian.AppendUint64(b, xxhash.Sum64String(h.Key()))
			draws[i] = xxhash.Sum64(b) >> 12
		}
		want := slices.Index(draws, slices.Max(draws))
		require.Equal(t, want, build(t, affinity.PolicyRendezvous, hosts, affinity.Options{}).Pick(hash, 0))
	})
}

func TestRendezvousMovesNothingBetweenHostsThatStay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hosts := drawHosts(2, 40).Draw(t, "hosts")
		weighted := rapid.Bool().Draw(t, "weighted")
		if weighted {
			for i := range hosts {
				hosts[i].Weight = uint32(1 + i%3)
			}
		}
		gone := rapid.IntRange(0, len(hosts)-1).Draw(t, "gone")
		rest := slices.Delete(slices.Clone(hosts), gone, gone+1)
		a := build(t, affinity.PolicyRendezvous, hosts, affinity.Options{})
		b := build(t, affinity.PolicyRendezvous, rest, affinity.Options{})
		for range 20 {
			hash := rapid.Uint64().Draw(t, "hash")
			if from := a.Pick(hash, 0); from != gone {
				require.Equal(t, hosts[from], rest[b.Pick(hash, 0)])
			} else {
				require.Equal(t, hosts[a.Pick(hash, 1)], rest[b.Pick(hash, 0)], "the next in rank inherits")
			}
		}
	})
}

func TestRendezvousDoesNotDependOnOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hosts := drawHosts(1, 40).Draw(t, "hosts")
		other := shuffled(t, hosts)
		a := build(t, affinity.PolicyRendezvous, hosts, affinity.Options{})
		b := build(t, affinity.PolicyRendezvous, other, affinity.Options{})
		hash := drawHash().Draw(t, "hash")
		for attempt := range uint32(3) {
			require.Equal(t, hosts[a.Pick(hash, attempt)], other[b.Pick(hash, attempt)])
		}
	})
}

func TestRendezvousHeavierHostOnlyGains(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hosts := drawHosts(2, 20).Draw(t, "hosts")
		heavier := slices.Clone(hosts)
		grown := rapid.IntRange(0, len(hosts)-1).Draw(t, "grown")
		heavier[grown].Weight = rapid.Uint32Range(2, 1000).Draw(t, "weight")
		a := build(t, affinity.PolicyRendezvous, hosts, affinity.Options{})
		b := build(t, affinity.PolicyRendezvous, heavier, affinity.Options{})
		for range 20 {
			hash := rapid.Uint64().Draw(t, "hash")
			if from, to := a.Pick(hash, 0), b.Pick(hash, 0); from != to {
				require.Equal(t, grown, to)
			}
		}
	})
}

func TestRendezvousFollowsTheWeights(t *testing.T) {
	hosts := hosts4(3)
	for i, w := range []uint32{1, 2, 7} {
		hosts[i].Weight = w
	}
	picker := build(t, affinity.PolicyRendezvous, hosts, affinity.Options{})
	load := make([]int, 3)
	for i := range uint64(100_000) {
		load[picker.Pick(affinity.HashValue(string(binary.LittleEndian.AppendUint64(nil, i))), 0)]++
	}
	// Four standard deviations of a share of 10% of 100,000 are 380, of 70% 580.
	require.InDelta(t, 10_000, load[0], 600)
	require.InDelta(t, 20_000, load[1], 600)
	require.InDelta(t, 70_000, load[2], 600)
}

func TestRendezvousRetriesReachEveryHost(t *testing.T) {
	for _, weight := range []uint32{1, 5} {
		hosts := hosts4(7)
		hosts[3].Weight = weight
		picker := build(t, affinity.PolicyRendezvous, hosts, affinity.Options{})
		for hash := range uint64(100) {
			seen := map[int]bool{}
			for attempt := range uint32(7) {
				seen[picker.Pick(hash, attempt)] = true
			}
			require.Len(t, seen, 7)
			require.Equal(t, picker.Pick(hash, 0), picker.Pick(hash, 7), "past the last it starts over")
		}
	}
}
