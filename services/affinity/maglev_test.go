package affinity_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/smaran-v2/smaran/services/affinity"
)

func TestMaglevGoldenPicks(t *testing.T) {
	v := golden(t)
	maglev := build(t, affinity.PolicyMaglev, v.hosts(), affinity.Options{})
	for _, p := range v.Picks {
		require.Equal(t, p.Maglev, v.Hosts[maglev.Pick(affinity.HashValue(p.Session), 0)], p.Session)
	}
}

// drawTable draws a prime, small enough to be quick.
func drawTable() *rapid.Generator[uint64] {
	return rapid.SampledFrom([]uint64{2, 3, 53, 251, 1021, 5003})
}

func TestMaglevIsEven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hosts := drawHosts(1, 60).Draw(t, "hosts")
		size := drawTable().Draw(t, "size")
		maglev, err := affinity.NewMaglev(hosts, affinity.Options{TableSize: size})
		require.NoError(t, err)
		counts := maglev.Counts()
		require.LessOrEqual(t, slices.Max(counts)-slices.Min(counts), 1)
		total := 0
		for _, n := range counts {
			total += n
		}
		require.EqualValues(t, size, total, "no slot is left free")
	})
}

func TestMaglevFollowsTheWeights(t *testing.T) {
	hosts := hosts4(4)
	for i, w := range []uint32{1, 2, 3, 4} {
		hosts[i].Weight = w
	}
	maglev, err := affinity.NewMaglev(hosts, affinity.Options{})
	require.NoError(t, err)
	for i, n := range maglev.Counts() {
		require.InDelta(t, affinity.DefaultTableSize/10*(i+1), n, 10)
	}
}

func TestMaglevDoesNotDependOnOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hosts := drawHosts(1, 40).Draw(t, "hosts")
		for i := range hosts {
			hosts[i].Weight = rapid.Uint32Range(1, 3).Draw(t, "weight")
		}
		other := shuffled(t, hosts)
		o := affinity.Options{TableSize: drawTable().Draw(t, "size")}
		a, b := build(t, affinity.PolicyMaglev, hosts, o), build(t, affinity.PolicyMaglev, other, o)
		for hash := range o.TableSize {
			require.Equal(t, hosts[a.Pick(hash, 0)], other[b.Pick(hash, 0)])
		}
	})
}

// TestMaglevRetriesWithAnotherHash has Envoy's formula in its own words: "~0ULL - attempt + 1".
func TestMaglevRetriesWithAnotherHash(t *testing.T) {
	maglev := build(t, affinity.PolicyMaglev, hosts4(10), affinity.Options{})
	other := 0
	rng := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		hash := rng.Uint64()
		for attempt := range uint32(4) {
			want := maglev.Pick(hash, 0)
			if attempt > 0 {
				want = maglev.Pick(hash^-uint64(attempt), 0)
			}
			require.Equal(t, want, maglev.Pick(hash, attempt))
		}
		if maglev.Pick(hash, 1) != maglev.Pick(hash, 0) {
			other++
		}
	}
	// The mutation mirrors the table, so how often a retry finds the same host depends on the addresses.
	require.Greater(t, other, 500, "the control: retries do reach other hosts")
}

func TestMaglevSlotsAreWhatPickLooksUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		maglev, err := affinity.NewMaglev(drawHosts(1, 20).Draw(t, "hosts"), affinity.Options{TableSize: drawTable().Draw(t, "size")})
		require.NoError(t, err)
		hash := drawHash().Draw(t, "hash")
		require.Equal(t, maglev.Pick(hash, 0), maglev.Host(int(hash%uint64(maglev.Size()))))
	})
	none, err := affinity.NewMaglev(nil, affinity.Options{})
	require.NoError(t, err)
	require.Zero(t, none.Size())
}
