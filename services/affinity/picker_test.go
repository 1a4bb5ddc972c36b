package affinity_test

import (
	"math"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/smaran-v2/smaran/services/affinity"
)

// everyPolicy runs f once for each policy.
func everyPolicy(t *testing.T, f func(t *testing.T, p affinity.Policy)) {
	for _, p := range affinity.Policies() {
		t.Run(string(p), func(t *testing.T) { f(t, p) })
	}
}

func TestParsePolicy(t *testing.T) {
	everyPolicy(t, func(t *testing.T, p affinity.Policy) {
		parsed, err := affinity.ParsePolicy(string(p))
		require.NoError(t, err)
		require.Equal(t, p, parsed)
		var text affinity.Policy
		require.NoError(t, text.UnmarshalText([]byte(p)))
		require.Equal(t, p, text)
	})
	for _, wrong := range []string{"", "Ring", "ring ", "round_robin"} {
		_, err := affinity.ParsePolicy(wrong)
		require.ErrorIs(t, err, affinity.ErrPolicy, wrong)
		require.ErrorContains(t, err, "use one of ring, maglev, rendezvous, modulo")
		p := affinity.PolicyRing
		require.ErrorIs(t, p.UnmarshalText([]byte(wrong)), affinity.ErrPolicy)
		require.Equal(t, affinity.PolicyRing, p, "a failed parse changes nothing")
	}
}

func TestNewRefusesWhatEnvoyRefuses(t *testing.T) {
	cases := []struct {
		name    string
		policy  affinity.Policy
		hosts   []affinity.Host
		options affinity.Options
		want    error
	}{
		{"unknown policy", "random", hosts4(1), affinity.Options{}, affinity.ErrPolicy},
		{"ring over the limit", affinity.PolicyRing, hosts4(1), affinity.Options{MinRingSize: 8<<20 + 1}, affinity.ErrOptions},
		{"maximum over the limit", affinity.PolicyRing, hosts4(1), affinity.Options{MaxRingSize: 8<<20 + 1}, affinity.ErrOptions},
		{"minimum above maximum", affinity.PolicyRing, hosts4(1), affinity.Options{MinRingSize: 11, MaxRingSize: 10}, affinity.ErrOptions},
		{"default minimum above maximum", affinity.PolicyRing, hosts4(1), affinity.Options{MaxRingSize: 1023}, affinity.ErrOptions},
		{"table not prime", affinity.PolicyMaglev, hosts4(1), affinity.Options{TableSize: 65536}, affinity.ErrOptions},
		{"table over the limit", affinity.PolicyMaglev, hosts4(1), affinity.Options{TableSize: 5000077}, affinity.ErrOptions},
		{"table of one", affinity.PolicyMaglev, hosts4(1), affinity.Options{TableSize: 1}, affinity.ErrOptions},
		{"weights overflow on the ring", affinity.PolicyRing, tooHeavy(), affinity.Options{}, affinity.ErrWeights},
		{"weights overflow in the table", affinity.PolicyMaglev, tooHeavy(), affinity.Options{}, affinity.ErrWeights},
		{"weights overflow in draws", affinity.PolicyRendezvous, tooHeavy(), affinity.Options{}, affinity.ErrWeights},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			picker, err := affinity.New(c.policy, c.hosts, c.options)
			require.ErrorIs(t, err, c.want)
			require.True(t, picker == nil, "a failed New returns a nil interface, not a nil pointer in one")
		})
	}
	// The control: the largest that is allowed.
	_, err := affinity.New(affinity.PolicyRing, hosts4(1), affinity.Options{MinRingSize: 1, MaxRingSize: 8 << 20})
	require.NoError(t, err)
	_, err = affinity.New(affinity.PolicyMaglev, hosts4(1), affinity.Options{TableSize: 5000011})
	require.NoError(t, err)
}

func tooHeavy() []affinity.Host {
	return []affinity.Host{{Address: "10.0.0.1:1", Weight: math.MaxUint32}, {Address: "10.0.0.2:1"}}
}

func TestNoHostsPickNothing(t *testing.T) {
	everyPolicy(t, func(t *testing.T, p affinity.Policy) {
		picker := build(t, p, nil, affinity.Options{})
		require.Zero(t, picker.Len())
		for _, hash := range []uint64{0, 1, 1 << 63, ^uint64(0)} {
			for _, attempt := range []uint32{0, 1, math.MaxUint32} {
				require.Equal(t, -1, picker.Pick(hash, attempt))
			}
		}
	})
}

func TestPickIsInRangeAndTheSameForTheSameHosts(t *testing.T) {
	everyPolicy(t, func(t *testing.T, p affinity.Policy) {
		rapid.Check(t, func(t *rapid.T) {
			hosts := drawHosts(1, 40).Draw(t, "hosts")
			for i := range hosts {
				hosts[i].Weight = rapid.Uint32Range(0, 5).Draw(t, "weight")
			}
			o := affinity.Options{TableSize: 251}
			picker, again := build(t, p, hosts, o), build(t, p, hosts, o)
			require.Equal(t, len(hosts), picker.Len())
			hash := drawHash().Draw(t, "hash")
			for _, attempt := range []uint32{0, 1, 2, rapid.Uint32().Draw(t, "attempt")} {
				i := picker.Pick(hash, attempt)
				require.GreaterOrEqual(t, i, 0)
				require.Less(t, i, len(hosts))
				require.Equal(t, i, again.Pick(hash, attempt))
			}
		})
	})
}

// TestSessionsSpread is the negative control of all that says "the same host": different sessions do spread.
func TestSessionsSpread(t *testing.T) {
	everyPolicy(t, func(t *testing.T, p affinity.Policy) {
		picker := build(t, p, hosts4(10), affinity.Options{})
		load := make([]int, 10)
		for i := range 10_000 {
			load[picker.Pick(uint64(i)*0x9e3779b97f4a7c15, 0)]++
		}
		for i, n := range load {
			require.InDelta(t, 1000, n, 500, "host %d has %d of 10,000 sessions", i, n)
		}
	})
}

func TestEmptyHashKeyAndZeroWeightAreTheDefaults(t *testing.T) {
	require.Equal(t, "10.0.0.1:8080", affinity.Host{Address: "10.0.0.1:8080"}.Key())
	require.Equal(t, "k", affinity.Host{Address: "10.0.0.1:8080", HashKey: "k"}.Key())
	explicit := hosts4(7)
	for i := range explicit {
		explicit[i].HashKey, explicit[i].Weight = explicit[i].Address, 1
	}
	everyPolicy(t, func(t *testing.T, p affinity.Policy) {
		a, b := build(t, p, hosts4(7), affinity.Options{}), build(t, p, explicit, affinity.Options{})
		for i := range uint64(1000) {
			require.Equal(t, a.Pick(i<<54, 0), b.Pick(i<<54, 0))
		}
	})
}

func TestHashKeyReplacesTheAddress(t *testing.T) {
	keyed := hosts4(5)
	for i, h := range hosts4(5) {
		keyed[i] = affinity.Host{Address: "192.168.1.1:80", HashKey: h.Address}
	}
	for _, p := range []affinity.Policy{affinity.PolicyRing, affinity.PolicyMaglev, affinity.PolicyRendezvous} {
		a, b := build(t, p, hosts4(5), affinity.Options{}), build(t, p, keyed, affinity.Options{})
		for i := range uint64(1000) {
			require.Equal(t, a.Pick(i<<54, 0), b.Pick(i<<54, 0), p)
		}
	}
}

func TestPickAllocatesNothing(t *testing.T) {
	everyPolicy(t, func(t *testing.T, p affinity.Policy) {
		hosts := hosts4(10)
		hosts[0].Weight = 3
		picker := build(t, p, hosts, affinity.Options{})
		var hash uint64
		require.Zero(t, testing.AllocsPerRun(100, func() {
			hash += 0x9e3779b97f4a7c15
			picker.Pick(hash, 0)
			picker.Pick(hash, 2)
		}))
	})
}

func TestPickIsSafeForConcurrentUse(t *testing.T) {
	everyPolicy(t, func(t *testing.T, p affinity.Policy) {
		picker := build(t, p, hosts4(10), affinity.Options{})
		want := picker.Pick(42, 1)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 1000 {
					if got := picker.Pick(42, 1); got != want {
						t.Errorf("picked %d, want %d", got, want)
						return
					}
				}
			})
		}
		wg.Wait()
	})
}
