package affinity_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/smaran-v2/smaran/services/affinity"
)

func TestHashGolden(t *testing.T) {
	v := golden(t)
	for _, c := range v.XXH64 {
		require.Equal(t, c.Hash, affinity.HashValue(c.Value), c.Value)
		require.Equal(t, c.Hash, affinity.HashCookie(c.Value), c.Value)
	}
	require.Equal(t, v.XXH64Chain.Hash, chain(v.XXH64Chain.Values...), "what the tests below compare with is Envoy's")
}

func TestHashHeader(t *testing.T) {
	cases := []struct {
		name   string
		values []string
		want   uint64
		ok     bool
	}{
		{"none", nil, 0, false},
		{"one", []string{"session-1"}, chain("session-1"), true},
		{"one empty", []string{""}, chain(""), true},
		{"two", []string{"foo", "bar"}, chain("bar", "foo"), true},
		{"twice the same", []string{"a", "a"}, chain("a", "a"), true},
		{"bytes, not letters", []string{"b", "B", "\xff", "a"}, chain("B", "a", "b", "\xff"), true},
		{"many", []string{"6", "5", "4", "3", "2", "1"}, chain("1", "2", "3", "4", "5", "6"), true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			given := slices.Clone(c.values)
			hash, ok := affinity.HashHeader(given)
			require.Equal(t, c.ok, ok)
			require.Equal(t, c.want, hash)
			require.Equal(t, c.values, given, "the caller's values stay as they are")
		})
	}
}

func TestHashHeaderDoesNotDependOnOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.String(), 1, 8).Draw(t, "values")
		a, _ := affinity.HashHeader(values)
		b, _ := affinity.HashHeader(shuffled(t, values))
		require.Equal(t, a, b)
	})
	joined, _ := affinity.HashHeader([]string{"foobar"})
	apart, _ := affinity.HashHeader([]string{"foo", "bar"})
	require.NotEqual(t, joined, apart, "the control: values are not simply joined")
}

func TestHashSourceIP(t *testing.T) {
	cases := map[string]string{
		"10.1.2.3":         "10.1.2.3",
		"::1":              "::1",
		"2001:db8::a:0:1":  "2001:db8::a:0:1",
		"::ffff:127.0.0.1": "127.0.0.1",
		"fe80::1%eth0":     "fe80::1",
	}
	for ip, hashed := range cases {
		require.Equal(t, affinity.HashValue(hashed), affinity.HashSourceIP(netip.MustParseAddr(ip)), ip)
	}
}

func TestCombine(t *testing.T) {
	const top = 1 << 63
	cases := []struct {
		name   string
		hashes []affinity.PolicyHash
		want   uint64
		ok     bool
	}{
		{"no policy", nil, 0, false},
		{"nothing to hash", []affinity.PolicyHash{{}, {Terminal: true}}, 0, false},
		{"one", []affinity.PolicyHash{{Hash: 5, OK: true}}, 5, true},
		{"two", []affinity.PolicyHash{{Hash: top | 1, OK: true}, {Hash: 8, OK: true}}, 3 ^ 8, true},
		{"the same twice does not cancel", []affinity.PolicyHash{{Hash: 6, OK: true}, {Hash: 6, OK: true}}, 12 ^ 6, true},
		{"a missing one does not rotate", []affinity.PolicyHash{{Hash: 6, OK: true}, {}, {Hash: 1, OK: true}}, 12 ^ 1, true},
		{"terminal with a hash", []affinity.PolicyHash{{Hash: 6, OK: true, Terminal: true}, {Hash: 1, OK: true}}, 6, true},
		{"terminal without", []affinity.PolicyHash{{Terminal: true}, {Hash: 1, OK: true}}, 1, true},
		{"terminal after another's hash", []affinity.PolicyHash{{Hash: 6, OK: true}, {Terminal: true}, {Hash: 1, OK: true}}, 6, true},
		{"a hash of zero is one", []affinity.PolicyHash{{OK: true, Terminal: true}, {Hash: 1, OK: true}}, 0, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			hash, ok := affinity.Combine(c.hashes...)
			require.Equal(t, c.ok, ok)
			require.Equal(t, c.want, hash)
		})
	}
}

func TestHashesAllocateNothing(t *testing.T) {
	values := []string{"c", "a", "b"}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		hash, ok := affinity.HashHeader(values)
		affinity.Combine(affinity.PolicyHash{Hash: hash, OK: ok}, affinity.PolicyHash{Hash: 1, OK: true})
	}))
}
