package affinity_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/smaran-v2/smaran/services/affinity"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// hosts4 is 10.0.0.1:8080 and so on.
func hosts4(n int) []affinity.Host {
	hosts := make([]affinity.Host, n)
	for i := range hosts {
		hosts[i].Address = fmt.Sprintf("10.0.%d.%d:8080", (i+1)>>8, (i+1)&0xff)
	}
	return hosts
}

// randomHosts is n different addresses.
func randomHosts(rng *rand.Rand, n int) []affinity.Host {
	hosts := make([]affinity.Host, n)
	for i, last := range rng.Perm(1 << 16)[:n] {
		hosts[i].Address = fmt.Sprintf("10.%d.%d.%d:8080", rng.IntN(256), last>>8, last&0xff)
	}
	return hosts
}

// drawHosts draws different addresses, IPv4 and IPv6.
func drawHosts(least, most int) *rapid.Generator[[]affinity.Host] {
	return rapid.Custom(func(t *rapid.T) []affinity.Host {
		ids := rapid.SliceOfNDistinct(rapid.Uint16(), least, most, rapid.ID[uint16]).Draw(t, "ids")
		hosts := make([]affinity.Host, len(ids))
		for i, id := range ids {
			hosts[i].Address = fmt.Sprintf("10.9.%d.%d:8080", id>>8, id&0xff)
			if id%3 == 0 {
				hosts[i].Address = fmt.Sprintf("[fd00::%x]:8080", id)
			}
		}
		return hosts
	})
}

// drawHash draws any hash, the edges of the circle included.
func drawHash() *rapid.Generator[uint64] {
	return rapid.OneOf(rapid.Uint64(), rapid.SampledFrom([]uint64{0, 1, 1 << 63, ^uint64(0) - 1, ^uint64(0)}))
}

func build(t require.TestingT, p affinity.Policy, hosts []affinity.Host, o affinity.Options) affinity.Picker {
	picker, err := affinity.New(p, hosts, o)
	require.NoError(t, err)
	return picker
}

func shuffled[T any](t *rapid.T, in []T) []T {
	return rapid.Permutation(in).Draw(t, "order")
}

// vectors is testdata/vectors.json.
type vectors struct {
	XXH64 []struct {
		Value string `json:"value"`
		Hash  uint64 `json:"hash,string"`
	} `json:"xxh64"`
	XXH64Chain struct {
		Values []string `json:"values"`
		Hash   uint64   `json:"hash,string"`
	} `json:"xxh64_chain"`
	Hosts       []string `json:"hosts"`
	RingEntries int      `json:"ring_entries"`
	Picks       []struct {
		Session string `json:"session"`
		Ring    string `json:"ring"`
		Maglev  string `json:"maglev"`
	} `json:"picks"`
	Uneven       []int         `json:"uneven"`
	HeaderTokens []tokenVector `json:"header_tokens"`
	CookieTokens []tokenVector `json:"cookie_tokens"`
}

type tokenVector struct {
	Address string `json:"address"`
	Expires uint64 `json:"expires"`
	Token   string `json:"token"`
}

func golden(t *testing.T) vectors {
	t.Helper()
	raw, err := os.ReadFile("testdata/vectors.json")
	require.NoError(t, err)
	var v vectors
	require.NoError(t, json.Unmarshal(raw, &v))
	return v
}

func (v vectors) hosts() []affinity.Host {
	hosts := make([]affinity.Host, len(v.Hosts))
	for i, addr := range v.Hosts {
		hosts[i].Address = addr
	}
	return hosts
}

// chain hashes values one after the other, each seeded with the hash so far.
func chain(values ...string) uint64 {
	var hash uint64
	for _, v := range values {
		d := xxhash.NewWithSeed(hash)
		_, _ = d.WriteString(v)
		hash = d.Sum64()
	}
	return hash
}
