package affinity_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/testreal"
)

const (
	pickedHeader  = "x-picked"         // response: the upstream address that Envoy picked
	failHeader    = "x-fail-attempts"  // request: how many attempts the upstreams fail
	sessionHeader = "x-call-session"   // request: hashed
	otherHeader   = "x-other"          // request: hashed after sessionHeader
	tokenHeader   = "x-jarvis-session" // both: the stateful session's
	cookieName    = "jarvis"

	// The least number of picks that the conformance test compares, and without a hash the number that must not
	// all reach one host.
	leastPicks = 10_000
	unhashed   = 40
)

// TestEnvoyPicks compares picks with those of a running Envoy.
func TestEnvoyPicks(t *testing.T) {
	testreal.RequireIPv6(t)
	began := time.Now()
	v4, v6 := upstreams(t, "127.0.0.1", 150), upstreams(t, "::1", 150)
	var picks atomic.Int64

	cases := append(ringCases(v4, v6), maglevCases(v4, v6)...)
	policies := hashPolicyCases(v4[:10])
	retried := retryCases(v4, v6)
	var routes []route
	for _, c := range slices.Concat(cases, policies, retried) {
		routes = append(routes, c.route)
	}
	generated := generatedCookieRoute(v4[:10])
	fromSource := sourceIPRoute(v4[:10])
	routes = append(routes, generated, fromSource)
	envoy := testreal.StartEnvoy(t, bootstrap(t,
		listener{name: "v4", address: "127.0.0.1", routes: routes},
		listener{name: "v6", address: "::1", routes: []route{fromSource}},
	))
	at := envoy.Listeners(t)
	client := newClient(t, &net.Dialer{})

	for _, c := range slices.Concat(cases, policies, retried) {
		t.Run(c.name, func(t *testing.T) {
			picker := c.picker(t)
			rng := rand.New(rand.NewPCG(1, uint64(len(c.name))))
			for range c.picks {
				header, hash := c.request(rng)
				want := c.expect(picker, hash)
				got := client.pick(t, at["v4"], c.name, header).picked
				require.Equal(t, c.hosts[want].Address, got, "hash %d of %v; hosts %v", hash, header, c.hosts)
				picks.Add(1)
			}
			requireSpread(t, c.used(picker), func() string { return client.pick(t, at["v4"], c.name, nil).picked })
		})
	}
	t.Run("counts", func(t *testing.T) { compareCounts(t, envoy, cases) })
	t.Run(generated.name, func(t *testing.T) { picks.Add(compareGenerated(t, at["v4"], generated)) })
	t.Run(fromSource.name, func(t *testing.T) {
		picks.Add(compareSourceIP(t, at["v4"], fromSource, loopbackSources()))
		picks.Add(compareSourceIP(t, at["v6"], fromSource, []string{"::1"}))
	})

	require.GreaterOrEqual(t, picks.Load(), int64(leastPicks))
	t.Logf("%d picks agreed with Envoy in %s", picks.Load(), time.Since(began).Round(time.Millisecond))
}

// pickCase is a route with requests whose hash this package predicts.
type pickCase struct {
	route
	picks   int
	request func(*rand.Rand) (http.Header, uint64)
}

func (c pickCase) picker(t *testing.T) affinity.Picker {
	return build(t, c.policy, c.hosts, c.options)
}

// expect is the host that answers in the end: where retries go on, the last one that they reach.
func (c pickCase) expect(picker affinity.Picker, hash uint64) int {
	tried := []int{picker.Pick(hash, 0)}
	for range c.retries {
		next := -1
		for attempt := range uint32(retrySelections + 1) {
			if next = picker.Pick(hash, attempt); !slices.Contains(tried, next) {
				break
			}
		}
		tried = append(tried, next)
	}
	return tried[len(tried)-1]
}

// used is how many hosts the picker can pick at all.
func (c pickCase) used(picker affinity.Picker) int {
	counter, ok := picker.(interface{ Counts() []int })
	if !ok {
		return picker.Len()
	}
	used := 0
	for _, n := range counter.Counts() {
		used += min(n, 1)
	}
	return used
}

// oneHeader is a session in one header.
func oneHeader(rng *rand.Rand) (http.Header, uint64) {
	session := fmt.Sprintf("session-%x", rng.Uint64())
	return http.Header{sessionHeader: {session}}, affinity.HashValue(session)
}

func hashed(name string, p affinity.Policy, o affinity.Options, hosts []affinity.Host) pickCase {
	r := route{name: name, policy: p, options: o, hosts: hosts, hash: []object{byHeader(sessionHeader)}}
	return pickCase{route: r, picks: 250, request: oneHeader}
}

func ringCases(v4, v6 []affinity.Host) []pickCase {
	var cases []pickCase
	ring := func(name string, o affinity.Options, hosts []affinity.Host) {
		cases = append(cases, hashed("ring-"+name, affinity.PolicyRing, o, hosts))
	}
	for _, n := range []int{1, 2, 3, 7, 10, 30, 74, 75, 100, 117, 150} {
		ring(fmt.Sprint("v4-", n), affinity.Options{}, v4[:n])
	}
	for _, n := range []int{1, 3, 10, 77, 150} {
		ring(fmt.Sprint("v6-", n), affinity.Options{}, v6[:n])
	}
	ring("both-9", affinity.Options{}, mixed(v4, v6, 9))
	ring("both-150", affinity.Options{}, mixed(v4, v6, 150))
	for _, size := range []uint64{1, 64, 10_240, 65_536, 100_000} {
		ring(fmt.Sprint("minimum-", size), affinity.Options{MinRingSize: size}, mixed(v4, v6, 10))
	}
	ring("minimum-100000-hosts-150", affinity.Options{MinRingSize: 100_000}, mixed(v4, v6, 150))
	ring("maximum-6", affinity.Options{MinRingSize: 6, MaxRingSize: 6}, v4[:4])
	ring("maximum-1024-hosts-150", affinity.Options{MaxRingSize: 1024}, mixed(v4, v6, 150))
	ring("maximum-below-hosts", affinity.Options{MinRingSize: 20, MaxRingSize: 20}, v4[:50])
	// Where a fused multiply-add would give the last host an entry. With so few entries the keys are fixed, or once in
	// a while one host would have nearly all of the circle, and the control would see no other.
	ring("maximum-3-hosts-11", affinity.Options{MinRingSize: 3, MaxRingSize: 3}, renamed(v4[:11]))
	ring("weights-1-2-5", affinity.Options{}, weighted(v4[:3], 1, 2, 5))
	ring("weights-many", affinity.Options{}, weighted(mixed(v4, v6, 40), 1, 128, 17, 3, 64))
	ring("weights-maximum", affinity.Options{MaxRingSize: 2000}, weighted(mixed(v4, v6, 20), 1, 1000, 7))
	ring("keys", affinity.Options{}, keyed(mixed(v4, v6, 12)))
	return cases
}

func maglevCases(v4, v6 []affinity.Host) []pickCase {
	var cases []pickCase
	maglev := func(name string, o affinity.Options, hosts []affinity.Host) {
		cases = append(cases, hashed("maglev-"+name, affinity.PolicyMaglev, o, hosts))
	}
	for _, n := range []int{1, 3, 10, 150} {
		maglev(fmt.Sprint("v4-", n), affinity.Options{}, v4[:n])
	}
	maglev("v6-33", affinity.Options{}, v6[:33])
	maglev("both-150", affinity.Options{}, mixed(v4, v6, 150))
	for _, size := range []uint64{2, 53, 5003, 1_000_003} {
		maglev(fmt.Sprint("table-", size), affinity.Options{TableSize: size}, mixed(v4, v6, 10))
	}
	maglev("weights-1-2-5", affinity.Options{}, weighted(v4[:3], 1, 2, 5))
	maglev("weights-many", affinity.Options{}, weighted(mixed(v4, v6, 40), 1, 128, 17, 3, 64))
	maglev("keys", affinity.Options{}, keyed(mixed(v4, v6, 12)))
	return cases
}

// hashPolicyCases are routes with the hash policies that requests meet, each on a ring.
func hashPolicyCases(hosts []affinity.Host) []pickCase {
	word := func(rng *rand.Rand) string { return strconv.FormatUint(rng.Uint64N(1<<20), 36) }
	policyHash := func(value string) affinity.PolicyHash {
		return affinity.PolicyHash{Hash: affinity.HashValue(value), OK: true}
	}
	// either sends the first value, the second, or both; some hash is always there.
	either := func(rng *rand.Rand) (first, second bool) {
		n := rng.IntN(3)
		return n != 1, n != 0
	}
	pair := func(final bool, second func(http.Header, string)) func(*rand.Rand) (http.Header, uint64) {
		return func(rng *rand.Rand) (http.Header, uint64) {
			header, hashes := http.Header{}, make([]affinity.PolicyHash, 2)
			hasFirst, hasSecond := either(rng)
			if hasFirst {
				value := word(rng)
				header[sessionHeader] = []string{value}
				hashes[0] = policyHash(value)
			}
			hashes[0].Terminal = final
			if hasSecond {
				value := word(rng)
				second(header, value)
				hashes[1] = policyHash(value)
			}
			hash, _ := affinity.Combine(hashes...)
			return header, hash
		}
	}
	asHeader := func(h http.Header, value string) { h[otherHeader] = []string{value} }
	asCookie := func(h http.Header, value string) {
		h["cookie"] = []string{fmt.Sprintf(`a=1; %s="%s"; b=2`, cookieName, value)}
	}
	cases := []struct {
		name    string
		hash    []object
		request func(*rand.Rand) (http.Header, uint64)
	}{
		{"policy-repeated-header", []object{byHeader(sessionHeader)}, func(rng *rand.Rand) (http.Header, uint64) {
			values := make([]string, 2+rng.IntN(4))
			for i := range values {
				// So few letters repeat, and some values are empty.
				const letters = "aAbBzZ09~"
				at := rng.IntN(len(letters))
				values[i] = letters[at : at+rng.IntN(2)]
			}
			hash, _ := affinity.HashHeader(values)
			return http.Header{sessionHeader: values}, hash
		}},
		{"policy-same-header-twice", []object{byHeader(sessionHeader), byHeader(sessionHeader)}, func(rng *rand.Rand) (http.Header, uint64) {
			value := word(rng)
			hash, _ := affinity.Combine(policyHash(value), policyHash(value))
			return http.Header{sessionHeader: {value}}, hash
		}},
		{"policy-two-headers", []object{byHeader(sessionHeader), byHeader(otherHeader)}, pair(false, asHeader)},
		{"policy-terminal-header", []object{terminal(byHeader(sessionHeader)), byHeader(otherHeader)}, pair(true, asHeader)},
		{"policy-header-and-cookie", []object{byHeader(sessionHeader), byCookie(cookieName)}, pair(false, asCookie)},
		{"policy-terminal-header-or-cookie", []object{terminal(byHeader(sessionHeader)), byCookie(cookieName)}, pair(true, asCookie)},
		{"policy-cookie", []object{byCookie(cookieName)}, func(rng *rand.Rand) (http.Header, uint64) {
			header := http.Header{"Cookie": {"x" + cookieName + "=no; " + cookieName + "=" + word(rng) + "; " + cookieName + "=late"}}
			return header, affinity.HashCookie(affinity.CookieValue(header["Cookie"], cookieName))
		}},
	}
	out := make([]pickCase, len(cases))
	for i, c := range cases {
		r := route{name: c.name, policy: affinity.PolicyRing, hosts: hosts, hash: c.hash}
		out[i] = pickCase{route: r, picks: 250, request: c.request}
	}
	return out
}

// retryCases fail the first attempts, so that what answers tells which host a retry chose.
func retryCases(v4, v6 []affinity.Host) []pickCase {
	var cases []pickCase
	for _, p := range []affinity.Policy{affinity.PolicyRing, affinity.PolicyMaglev} {
		for _, retries := range []int{1, 2} {
			c := hashed(fmt.Sprintf("retry-%s-%d", p, retries), p, affinity.Options{}, mixed(v4, v6, 5))
			c.retries = retries
			c.picks = 150
			c.request = func(rng *rand.Rand) (http.Header, uint64) {
				header, hash := oneHeader(rng)
				header[failHeader] = []string{strconv.Itoa(retries)}
				return header, hash
			}
			cases = append(cases, c)
		}
	}
	return cases
}

// compareCounts compares the extremes of the hosts' entries with Envoy's own statistics.
func compareCounts(t *testing.T, envoy *testreal.Envoy, cases []pickCase) {
	stats := gauges(t, envoy)
	for _, c := range cases {
		prefix, what := "cluster."+c.name+".ring_hash_lb.", "hashes_per_host"
		if c.policy == affinity.PolicyMaglev {
			prefix, what = "cluster."+c.name+".maglev_lb.", "entries_per_host"
		}
		if c.policy == affinity.PolicyMaglev && len(c.hosts) == 1 {
			continue // Envoy 1.40 reports one entry for a single host, which has every hash either way
		}
		counts := c.picker(t).(interface{ Counts() []int }).Counts()
		require.Contains(t, stats, prefix+"min_"+what)
		require.Equal(t, stats[prefix+"min_"+what], slices.Min(counts), c.name)
		require.Equal(t, stats[prefix+"max_"+what], slices.Max(counts), c.name)
	}
}

func gauges(t *testing.T, envoy *testreal.Envoy) map[string]int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
		"http://"+envoy.AdminAddr+"/stats?format=json&filter=_lb%5C.", nil)
	require.NoError(t, err)
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	var body struct {
		Stats []struct {
			Name  string `json:"name"`
			Value int    `json:"value"`
		} `json:"stats"`
	}
	require.NoError(t, json.NewDecoder(res.Body).Decode(&body))
	out := map[string]int{}
	for _, s := range body.Stats {
		out[s.Name] = s.Value
	}
	return out
}

const generatedTTL = 90 * time.Second

func generatedCookieRoute(hosts []affinity.Host) route {
	return route{
		name: "policy-generated-cookie", policy: affinity.PolicyRing, hosts: hosts,
		hash: []object{byCookieOrGenerate(cookieName, "/p", generatedTTL)},
	}
}

// compareGenerated checks the cookie that Envoy makes of a connection's addresses, and that it hashes it.
func compareGenerated(t *testing.T, listener string, r route) (picks int64) {
	picker := build(t, r.policy, r.hosts, r.options)
	seen := map[string]bool{}
	for range unhashed {
		client := newClient(t, &net.Dialer{})
		for range 2 {
			res := client.pick(t, listener, r.name, nil)
			value := affinity.GenerateCookieValue(res.local, listener)
			require.Equal(t, []string{affinity.FormatSetCookie(cookieName, value, "/p", generatedTTL)}, res.header.Values("set-cookie"))
			want := r.hosts[picker.Pick(affinity.HashCookie(value), 0)].Address
			require.Equal(t, want, res.picked)
			seen[res.picked] = true

			// Sent back on another connection, it is not made anew and finds the same host.
			back := newClient(t, &net.Dialer{}).pick(t, listener, r.name, http.Header{"cookie": {cookieName + "=" + value}})
			require.Equal(t, want, back.picked)
			require.Empty(t, back.header.Values("set-cookie"))
			picks += 2
		}
	}
	require.Greater(t, len(seen), 1, "the control: connections without the cookie spread")
	return picks
}

func sourceIPRoute(hosts []affinity.Host) route {
	return route{name: "policy-source-ip", policy: affinity.PolicyRing, hosts: hosts, hash: []object{bySourceIP()}}
}

// loopbackSources are addresses that a client can come from: all of 127.0.0.0/8 on Linux, one elsewhere.
func loopbackSources() []string {
	sources := []string{"127.0.0.1"}
	for i := 2; runtime.GOOS == "linux" && i < 40; i++ {
		sources = append(sources, fmt.Sprintf("127.0.%d.%d", i, i))
	}
	return sources
}

func compareSourceIP(t *testing.T, listener string, r route, sources []string) (picks int64) {
	picker := build(t, r.policy, r.hosts, r.options)
	seen := map[string]bool{}
	for _, source := range sources {
		for range 2 { // another connection has another port, which does not count
			client := newClient(t, &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}})
			got := client.pick(t, listener, r.name, nil).picked
			require.Equal(t, r.hosts[picker.Pick(affinity.HashSourceIP(netip.MustParseAddr(source)), 0)].Address, got)
			seen[got] = true
			picks++
		}
	}
	if len(sources) > 10 {
		require.Greater(t, len(seen), 1, "the control: other sources find other hosts")
	}
	return picks
}

// TestEnvoyTokens exchanges session tokens with a running Envoy, in both directions.
func TestEnvoyTokens(t *testing.T) {
	testreal.RequireIPv6(t)
	hosts := mixed(upstreams(t, "127.0.0.1", 6), upstreams(t, "::1", 6), 6)
	pods := route{name: "pods", hosts: hosts}
	const ttl = 120 * time.Second
	envoy := testreal.StartEnvoy(t, bootstrap(t,
		listener{name: "header", address: "127.0.0.1", filters: []object{statefulHeader(tokenHeader)}, routes: []route{pods}},
		listener{name: "cookie", address: "127.0.0.1", filters: []object{statefulCookie(cookieName, "/", 0)}, routes: []route{pods}},
		listener{name: "cookie-ttl", address: "127.0.0.1", filters: []object{statefulCookie(cookieName, "/", ttl)}, routes: []route{pods}},
	))
	at := envoy.Listeners(t)
	client := newClient(t, &net.Dialer{})
	withHeader := func(token string) reply {
		return client.pick(t, at["header"], pods.name, http.Header{tokenHeader: {token}})
	}
	withCookie := func(listener, token string) reply {
		return client.pick(t, at[listener], pods.name, http.Header{"cookie": {cookieName + "=" + token}})
	}
	cookieIn := func(r reply) string {
		parsed, err := http.ParseSetCookie(r.header.Get("set-cookie"))
		require.NoError(t, err)
		return parsed.Value
	}

	t.Run("header from Envoy", func(t *testing.T) {
		for range unhashed {
			r := client.pick(t, at["header"], pods.name, nil)
			addr, ok := affinity.DecodeHeader(r.header.Get(tokenHeader))
			require.True(t, ok)
			require.Equal(t, r.picked, addr)
			require.Equal(t, affinity.EncodeHeader(r.picked), r.header.Get(tokenHeader))
		}
	})
	t.Run("header to Envoy", func(t *testing.T) {
		for range 10 {
			for _, h := range hosts {
				r := withHeader(affinity.EncodeHeader(h.Address))
				require.Equal(t, h.Address, r.picked)
				require.Empty(t, r.header.Values(tokenHeader), "the token was right, so there is no new one")
			}
		}
		first := client.pick(t, at["header"], pods.name, http.Header{tokenHeader: {
			affinity.EncodeHeader(hosts[1].Address), affinity.EncodeHeader(hosts[2].Address),
		}})
		require.Equal(t, hosts[1].Address, first.picked, "only the first value counts")
	})
	t.Run("header without meaning", func(t *testing.T) {
		token := affinity.EncodeHeader(hosts[1].Address) // of a length that needs padding
		require.True(t, strings.HasSuffix(token, "="))
		for _, wrong := range []string{
			"", strings.TrimRight(token, "="), token + "=", "====", hosts[0].Address, "_" + token[1:], "*",
		} {
			_, ok := affinity.DecodeHeader(wrong)
			require.False(t, ok, wrong)
			requireSpread(t, len(hosts), func() string {
				r := withHeader(wrong)
				require.Equal(t, affinity.EncodeHeader(r.picked), r.header.Get(tokenHeader), "Envoy sends a token where it found none")
				return r.picked
			})
		}
		gone := affinity.EncodeHeader("192.0.2.1:80")
		requireSpread(t, len(hosts), func() string { return withHeader(gone).picked })
	})
	t.Run("cookie from Envoy", func(t *testing.T) {
		for range unhashed {
			r := client.pick(t, at["cookie"], pods.name, nil)
			require.Equal(t, []string{affinity.FormatSetCookie(cookieName, affinity.EncodeCookie(r.picked, 0), "/", 0)},
				r.header.Values("set-cookie"))
			addr, expires, ok := affinity.DecodeCookie(cookieIn(r))
			require.True(t, ok)
			require.Equal(t, r.picked, addr)
			require.Zero(t, expires)
		}
	})
	t.Run("cookie that expires from Envoy", func(t *testing.T) {
		for range unhashed {
			r := client.pick(t, at["cookie-ttl"], pods.name, nil)
			addr, expires, ok := affinity.DecodeCookie(cookieIn(r))
			require.True(t, ok)
			require.Equal(t, r.picked, addr)
			require.NotZero(t, expires)
			require.Equal(t, []string{affinity.FormatSetCookie(cookieName, affinity.EncodeCookie(addr, expires), "/", ttl)},
				r.header.Values("set-cookie"))
		}
	})
	t.Run("cookie to Envoy", func(t *testing.T) {
		_, later, _ := affinity.DecodeCookie(cookieIn(client.pick(t, at["cookie-ttl"], pods.name, nil)))
		for _, listener := range []string{"cookie", "cookie-ttl"} {
			for _, expires := range []uint64{0, later} {
				for range 5 {
					for _, h := range hosts {
						token := affinity.EncodeCookie(h.Address, expires)
						r := withCookie(listener, token)
						require.Equal(t, h.Address, r.picked)
						require.Empty(t, r.header.Values("set-cookie"))
						require.Equal(t, h.Address, withCookie(listener, `"`+token+`"`).picked, "quotes do not count")
					}
				}
			}
		}
	})
	t.Run("cookie in other shapes", func(t *testing.T) {
		a, b := hosts[0].Address, hosts[1].Address
		field := func(tag byte, value string) string { return string([]byte{tag, byte(len(value))}) + value }
		for name, raw := range map[string]string{
			"bare address":                   a,
			"bare IPv6 address":              b,
			"last address wins":              field(0x0a, a) + field(0x0a, b),
			"expires first":                  "\x10\x00" + field(0x0a, a),
			"unknown fields":                 field(0x1a, "x") + field(0x0a, a) + "\x20\x01\x2d\x00\x00\x00\x00\x31\x00\x00\x00\x00\x00\x00\x00\x00",
			"unknown group":                  "\x1b\x20\x01\x1c" + field(0x0a, a),
			"group without end":              field(0x0a, a) + "\x1b",
			"end without group":              field(0x0a, a) + "\x1c",
			"address of another wire type":   "\x08\x01" + field(0x0a, a),
			"expires of another wire type":   field(0x0a, a) + field(0x12, "x"),
			"cut short":                      field(0x0a, a)[:10],
			"field zero":                     field(0x0a, a) + "\x02\x00",
			"not UTF-8":                      field(0x0a, a) + field(0x0a, "\xff"),
			"message without address":        "\x10\x00",
			"message with an empty address":  field(0x0a, ""),
			"bare address that is a message": "10.0.0.1:8080",
		} {
			t.Run(name, func(t *testing.T) {
				token := base64.StdEncoding.EncodeToString([]byte(raw))
				addr, _, ok := affinity.DecodeCookie(token)
				known := slices.ContainsFunc(hosts, func(h affinity.Host) bool { return ok && h.Address == addr })
				if known {
					for range 10 {
						require.Equal(t, addr, withCookie("cookie", token).picked)
					}
					return
				}
				requireSpread(t, len(hosts), func() string { return withCookie("cookie", token).picked })
			})
		}
	})
	t.Run("cookie that has expired", func(t *testing.T) {
		token := affinity.EncodeCookie(hosts[0].Address, 1)
		requireSpread(t, len(hosts), func() string { return withCookie("cookie", token).picked })
	})
	t.Run("without a token", func(t *testing.T) {
		for name, listener := range at {
			requireSpread(t, len(hosts), func() string { return client.pick(t, listener, pods.name, nil).picked }, name)
		}
	})
}

// requireSpread is the negative control: requests that carry nothing to go by reach more than one of the hosts.
func requireSpread(t *testing.T, hosts int, pick func() string, what ...any) {
	t.Helper()
	if hosts < 2 {
		return
	}
	seen := map[string]bool{}
	for range unhashed {
		seen[pick()] = true
	}
	require.Greater(t, len(seen), 1, what...)
}

// client sends requests over its own connections.
type client struct{ http.Client }

func newClient(t *testing.T, dialer *net.Dialer) *client {
	transport := &http.Transport{DialContext: dialer.DialContext, DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &client{http.Client{Transport: transport}}
}

// reply is what came back through Envoy.
type reply struct {
	picked string // the upstream's address
	local  string // the client's address
	header http.Header
}

func (c *client) pick(t *testing.T, listener, route string, header http.Header) reply {
	t.Helper()
	var out reply
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) { out.local = info.Conn.LocalAddr().String() },
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+listener+"/"+route+"/", nil)
	require.NoError(t, err)
	for name, values := range header {
		for _, v := range values {
			req.Header.Add(name, v)
		}
	}
	res, err := c.Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusOK, res.StatusCode)
	out.picked, out.header = res.Header.Get(pickedHeader), res.Header
	require.NotEmpty(t, out.picked)
	return out
}

// upstreams serves n addresses of ip, each on a port of its own, and says in each answer which of them it was. They end
// with the test.
func upstreams(t *testing.T, ip string, n int) []affinity.Host {
	t.Helper()
	server := &http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set(pickedHeader, r.Context().Value(http.LocalAddrContextKey).(net.Addr).String())
			attempt, _ := strconv.Atoi(r.Header.Get("x-envoy-attempt-count"))
			fail, _ := strconv.Atoi(r.Header.Get(failHeader))
			if attempt <= fail {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		}),
	}
	hosts := make([]affinity.Host, n)
	done := make(chan struct{}, n)
	for i := range hosts {
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", net.JoinHostPort(ip, "0"))
		require.NoError(t, err)
		hosts[i].Address = l.Addr().String()
		go func() {
			_ = server.Serve(l) // ends with ErrServerClosed
			done <- struct{}{}
		}()
	}
	t.Cleanup(func() {
		_ = server.Close()
		for range n {
			<-done
		}
	})
	return hosts
}

// mixed is n hosts, IPv4 and IPv6 by turns.
func mixed(v4, v6 []affinity.Host, n int) []affinity.Host {
	hosts := make([]affinity.Host, n)
	for i := range hosts {
		if i%2 == 0 {
			hosts[i] = v4[i/2]
		} else {
			hosts[i] = v6[i/2]
		}
	}
	return hosts
}

// weighted gives the hosts these weights in turn.
func weighted(hosts []affinity.Host, weights ...uint32) []affinity.Host {
	hosts = slices.Clone(hosts)
	for i := range hosts {
		hosts[i].Weight = weights[i%len(weights)]
	}
	return hosts
}

// renamed gives every host the hash key of a pod elsewhere.
func renamed(hosts []affinity.Host) []affinity.Host {
	hosts = slices.Clone(hosts)
	for i, elsewhere := range hosts4(len(hosts)) {
		hosts[i].HashKey = elsewhere.Address
	}
	return hosts
}

// keyed gives every third host no hash key, and the others those of pods elsewhere.
func keyed(hosts []affinity.Host) []affinity.Host {
	hosts = slices.Clone(hosts)
	for i := range hosts {
		switch i % 3 {
		case 1:
			hosts[i].HashKey = fmt.Sprintf("10.0.0.%d:8080", i)
		case 2:
			hosts[i].HashKey = fmt.Sprintf("[2001:db8::%x]:8080", i)
		}
	}
	return hosts
}
