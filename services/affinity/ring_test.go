package affinity_test

import (
	"math"
	"slices"
	"sort"
	"strconv"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/smaran-v2/smaran/services/affinity"
)

func TestRingGoldenPicks(t *testing.T) {
	v := golden(t)
	ring, err := affinity.NewRing(v.hosts(), affinity.Options{})
	require.NoError(t, err)
	require.Equal(t, v.RingEntries, ring.Size())
	for _, p := range v.Picks {
		require.Equal(t, p.Ring, v.Hosts[ring.Pick(affinity.HashValue(p.Session), 0)], p.Session)
	}
}

// TestRingAgreesWithAPlainSearch compares the indexed search with a list that is sorted and walked from its start.
func TestRingAgreesWithAPlainSearch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hosts := drawHosts(1, 30).Draw(t, "hosts")
		size := rapid.Uint64Range(1, 3000).Draw(t, "size")
		ring, err := affinity.NewRing(hosts, affinity.Options{MinRingSize: size})
		require.NoError(t, err)
		plain := plainRing(hosts, size)
		require.Equal(t, len(plain), ring.Size())
		hashes := []uint64{0, math.MaxUint64, drawHash().Draw(t, "hash")}
		for _, i := range []int{0, len(plain) - 1, rapid.IntRange(0, len(plain)-1).Draw(t, "entry")} {
			hashes = append(hashes, plain[i].hash-1, plain[i].hash, plain[i].hash+1)
		}
		for _, hash := range hashes {
			at := sort.Search(len(plain), func(i int) bool { return plain[i].hash >= hash }) % len(plain)
			for _, attempt := range []uint32{0, 1, 2, uint32(len(plain)), math.MaxUint32} {
				want := plain[(at+int(attempt))%len(plain)].host
				require.Equal(t, want, ring.Pick(hash, attempt), "hash %d, attempt %d", hash, attempt)
			}
		}
	})
}

// TestRingCounts pins down how many entries each host has: evenly many up to 74 hosts, and at the numbers of hosts in
// testdata an earlier host has one more, because the running sum in float64 comes out a little high.
func TestRingCounts(t *testing.T) {
	var uneven []int
	for n := 1; n <= 150; n++ {
		ring, err := affinity.NewRing(hosts4(n), affinity.Options{})
		require.NoError(t, err)
		counts := ring.Counts()
		most, least := slices.Max(counts), slices.Min(counts)
		require.Equal(t, (affinity.DefaultMinRingSize+n-1)/n, counts[n-1], "%d hosts", n)
		require.LessOrEqual(t, most-least, 1, "%d hosts", n)
		if most != least {
			uneven = append(uneven, n)
		}
	}
	require.Equal(t, golden(t).Uneven, uneven)
}

// TestRingCountsDoNotFuseMultiplyAndAdd has the fewest hosts whose counts tell whether the running sum was rounded once
// or twice a step. The compiler may fuse the two on arm64, ppc64 and s390x, unless told not to.
func TestRingCountsDoNotFuseMultiplyAndAdd(t *testing.T) {
	ring, err := affinity.NewRing(hosts4(11), affinity.Options{MinRingSize: 3, MaxRingSize: 3})
	require.NoError(t, err)
	twice := []int{1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0}
	require.Equal(t, twice, ring.Counts())

	once := make([]int, 11)
	current, target := 0.0, 0.0
	for i := range once {
		for target = math.FMA(3, 1.0/11, target); current < target; current++ {
			once[i]++
		}
	}
	require.NotEqual(t, twice, once, "the control: fused, the counts are others")
}

func TestRingSizes(t *testing.T) {
	cases := []struct {
		name    string
		weights []uint32
		options affinity.Options
		want    []int
	}{
		{"the least host gets a whole number of entries", []uint32{1, 1, 1}, affinity.Options{MinRingSize: 10}, []int{4, 4, 4}},
		{"weights", []uint32{1, 2, 5}, affinity.Options{MinRingSize: 64}, []int{8, 16, 40}},
		{"weights that do not divide", []uint32{1, 2}, affinity.Options{MinRingSize: 10}, []int{4, 8}},
		{"zero weight counts as one", []uint32{0, 2}, affinity.Options{MinRingSize: 10}, []int{4, 8}},
		{"maximum, as in Envoy's comment", []uint32{1, 1, 1, 1}, affinity.Options{MinRingSize: 6, MaxRingSize: 6}, []int{2, 1, 2, 1}},
		{"more hosts than entries", []uint32{1, 1, 1, 1}, affinity.Options{MinRingSize: 2, MaxRingSize: 2}, []int{1, 0, 1, 0}},
		{"one host", []uint32{7}, affinity.Options{}, []int{1024}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			hosts := hosts4(len(c.weights))
			for i, w := range c.weights {
				hosts[i].Weight = w
			}
			ring, err := affinity.NewRing(hosts, c.options)
			require.NoError(t, err)
			require.Equal(t, c.want, ring.Counts())
		})
	}
}

// TestRingDoesNotDependOnOrderWhileCountsAreEven is as much as Envoy guarantees: the order of the hosts decides who has
// the odd entry, where there is one.
func TestRingDoesNotDependOnOrderWhileCountsAreEven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hosts := drawHosts(1, 74).Draw(t, "hosts")
		other := shuffled(t, hosts)
		a, b := build(t, affinity.PolicyRing, hosts, affinity.Options{}), build(t, affinity.PolicyRing, other, affinity.Options{})
		for range 20 {
			hash := rapid.Uint64().Draw(t, "hash")
			require.Equal(t, hosts[a.Pick(hash, 0)], other[b.Pick(hash, 0)])
		}
	})
}

func TestRingDependsOnOrderWhereCountsAreUneven(t *testing.T) {
	hosts := hosts4(75)
	other := slices.Clone(hosts)
	slices.Reverse(other)
	require.NotZero(t, movedOf(t, affinity.PolicyRing, affinity.Options{}, hosts, other, 100_000))
}

// TestRingMovesOnlyWhatItMust checks both halves of the third invariant: a session changes its host only if its
// entry went away or a new one came before it.
func TestRingMovesOnlyWhatItMust(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hosts := drawHosts(2, 40).Draw(t, "hosts")
		n := rapid.IntRange(1, len(hosts)-1).Draw(t, "before")
		o := affinity.Options{MinRingSize: rapid.Uint64Range(1, 2000).Draw(t, "size")}
		before, err := affinity.NewRing(hosts[:n], o)
		require.NoError(t, err)
		after, err := affinity.NewRing(hosts, o)
		require.NoError(t, err)
		was, is := before.Counts(), after.Counts()
		for i := range was {
			require.GreaterOrEqual(t, was[i], is[i], "more hosts never give a host more entries")
		}
		for range 20 {
			hash := rapid.Uint64().Draw(t, "hash")
			from, to := before.Pick(hash, 0), after.Pick(hash, 0)
			if from == to || to >= n {
				continue
			}
			// It moved between hosts that stay, so its entry went away.
			require.GreaterOrEqual(t, entryOf(hosts[:n], was, hash), is[from])
		}
	})
}

// TestRingMovesBetweenHostsThatStay is what Envoy does not guarantee, and what people expect of consistent hashing.
func TestRingMovesBetweenHostsThatStay(t *testing.T) {
	hosts := hosts4(4)
	between := func(n, m int) (moved int) {
		all := hosts4(m)
		before := build(t, affinity.PolicyRing, all[:n], affinity.Options{})
		after := build(t, affinity.PolicyRing, all, affinity.Options{})
		for i := range 10_000 {
			hash := uint64(i) * 0x9e3779b97f4a7c15
			if from, to := before.Pick(hash, 0), after.Pick(hash, 0); from != to && to < n {
				moved++
			}
		}
		return moved
	}
	require.Greater(t, between(3, len(hosts)), 500, "342 entries a host become 256")
	require.Zero(t, between(61, 62), "17 entries a host stay 17: the control, and the only case without such moves")
}

// TestRingEntriesWithEqualHashesKeepTheOrderOfTheHosts settles what Envoy leaves open.
func TestRingEntriesWithEqualHashesKeepTheOrderOfTheHosts(t *testing.T) {
	hosts := []affinity.Host{{Address: "10.0.0.1:1", HashKey: "same"}, {Address: "10.0.0.2:1", HashKey: "same"}}
	ring, err := affinity.NewRing(hosts, affinity.Options{})
	require.NoError(t, err)
	for i := range 1000 {
		hash := uint64(i) * 0x9e3779b97f4a7c15
		require.Equal(t, 0, ring.Pick(hash, 0))
		require.Equal(t, 1, ring.Pick(hash, 1))
	}
}

// entryOf is the number of the entry, among its host's, that hash belongs to.
func entryOf(hosts []affinity.Host, counts []int, hash uint64) int {
	best, entry := uint64(math.MaxUint64), 0
	for h, host := range hosts {
		for i := range counts[h] {
			// The distance around the circle, from the hash on.
			if d := xxhash.Sum64String(host.Key()+"_"+strconv.Itoa(i)) - hash; d <= best {
				best, entry = d, i
			}
		}
	}
	return entry
}

func TestRingEntriesAreWhatPickSearches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hosts := drawHosts(0, 20).Draw(t, "hosts")
		ring, err := affinity.NewRing(hosts, affinity.Options{MinRingSize: rapid.Uint64Range(1, 300).Draw(t, "size")})
		require.NoError(t, err)
		hash := drawHash().Draw(t, "hash")
		first, owner, entries, last := -1, -1, 0, uint64(0)
		for h, host := range ring.Entries() {
			require.GreaterOrEqual(t, h, last, "in order")
			if entries == 0 {
				first = host
			}
			if owner < 0 && h >= hash {
				owner = host
			}
			entries, last = entries+1, h
		}
		if owner < 0 {
			owner = first // past the last one
		}
		require.Equal(t, ring.Size(), entries)
		require.Equal(t, ring.Pick(hash, 0), owner)
	})
}
