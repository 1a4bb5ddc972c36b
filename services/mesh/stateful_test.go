package mesh_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/mesh"
	"github.com/smaran-v2/smaran/services/wire"
)

// token is what a request carries for an address, as a header field.
func token(policy mesh.Policy, address string) []string {
	if policy == mesh.StatefulByHeader {
		return []string{wire.HeaderStateful, affinity.EncodeHeader(address)}
	}
	return []string{"Cookie", fmt.Sprintf(`other=1; %s="%s"`, wire.CookieStateful, affinity.EncodeCookie(address, 0))}
}

// emitted is the token in a response, in full.
func emitted(policy mesh.Policy, res *http.Response) string {
	if policy == mesh.StatefulByHeader {
		return res.Header.Get(wire.HeaderStateful)
	}
	return res.Header.Get("Set-Cookie")
}

// emission is the token that a response must carry for an address.
func emission(policy mesh.Policy, address string) string {
	if policy == mesh.StatefulByHeader {
		return affinity.EncodeHeader(address)
	}
	return fmt.Sprintf(`jarvis="%s"; Path=/; HttpOnly`, affinity.EncodeCookie(address, 0))
}

func TestTokenSelectsItsPodAndIsEmittedOnlyWhereItDiffers(t *testing.T) {
	for _, policy := range []mesh.Policy{mesh.StatefulByHeader, mesh.StatefulByCookie} {
		t.Run(string(policy), func(t *testing.T) {
			list := pods(t, 5)
			list[1].Health = endpoints.Draining
			list[2].Health = endpoints.Unhealthy
			list[3].Health = endpoints.Degraded
			address := map[string]string{}
			for _, e := range list {
				address[e.Pod] = e.Address
			}
			s := serve(t, options(t, newFile(t, list...), policy))
			c := client(t, false)
			cookie := policy == mesh.StatefulByCookie
			for _, row := range []struct {
				name     string
				header   []string
				selected string // "" where the balancer picks
			}{
				{"no token", nil, ""},
				{"healthy pod", token(policy, list[0].Address), "jarvis-0"},
				{"another healthy pod", token(policy, list[4].Address), "jarvis-4"},
				{"degraded pod", token(policy, list[3].Address), "jarvis-3"},
				{"unhealthy pod", token(policy, list[2].Address), ""},
				{"pod that is gone", token(policy, "127.0.0.1:1"), ""},
				{"not base64", []string{wire.HeaderStateful, "***", "Cookie", "jarvis=***"}, ""},
				{"empty", []string{wire.HeaderStateful, "", "Cookie", "jarvis="}, ""},
				{"draining pod", token(policy, list[1].Address), map[bool]string{true: "jarvis-1"}[cookie]},
			} {
				t.Run(row.name, func(t *testing.T) {
					seen := map[string]bool{}
					for range 20 {
						res := get(t, c, s.url, row.header...)
						require.Equal(t, http.StatusOK, res.StatusCode)
						name := res.Header.Get(wire.HeaderPod)
						seen[name] = true
						if row.selected != "" {
							require.Equal(t, row.selected, name)
							require.Empty(t, emitted(policy, res))
							continue
						}
						require.Equal(t, emission(policy, address[name]), emitted(policy, res))
					}
					if row.selected == "" {
						require.Greater(t, len(seen), 1, "the balancer spreads")
					}
				})
			}
			require.NotZero(t, s.counter(t, "mesh_sessions_total", "result", "new"))
			require.NotZero(t, s.counter(t, "mesh_sessions_total", "result", "kept"))
			require.NotZero(t, s.counter(t, "mesh_sessions_total", "result", "moved"))
		})
	}
}

func TestOnlyTheFirstValueOfTheHeaderCounts(t *testing.T) {
	list := pods(t, 2)
	s := serve(t, options(t, newFile(t, list...), mesh.StatefulByHeader))
	first, second := token(mesh.StatefulByHeader, list[0].Address), token(mesh.StatefulByHeader, list[1].Address)
	for range 10 {
		res := get(t, client(t, false), s.url, append(first, second...)...)
		require.Equal(t, "jarvis-0", res.Header.Get(wire.HeaderPod))
	}
}

func TestASessionFollowsItsTokenThroughADrain(t *testing.T) {
	for _, policy := range []mesh.Policy{mesh.StatefulByHeader, mesh.StatefulByCookie} {
		t.Run(string(policy), func(t *testing.T) {
			list := pods(t, 2)
			f := newFile(t, list...)
			s := serve(t, options(t, f, policy))
			c := client(t, false)
			at := get(t, c, s.url).Header.Get(wire.HeaderPod)
			mine := 0
			if at == list[1].Pod {
				mine = 1
			}
			list[mine].Health = endpoints.Draining
			f.set(t, list...)
			s.reloaded(t, 2)
			res := get(t, c, s.url, token(policy, list[mine].Address)...)
			if policy == mesh.StatefulByCookie {
				require.Equal(t, at, res.Header.Get(wire.HeaderPod), "the cookie keeps its pod")
				require.Empty(t, emitted(policy, res))
			} else {
				require.NotEqual(t, at, res.Header.Get(wire.HeaderPod), "Istio's header mode loses it")
				require.Equal(t, emission(policy, list[1-mine].Address), emitted(policy, res))
			}
		})
	}
}

func TestCookieWithATTLExpires(t *testing.T) {
	list := pods(t, 2)
	s := serve(t, options(t, newFile(t, list...), mesh.StatefulByCookie, func(o *mesh.Options) { o.CookieTTL = 90 * time.Second }))
	c := client(t, false)
	res := get(t, c, s.url)
	set := res.Header.Get("Set-Cookie")
	require.Contains(t, set, "; Max-Age=90; Path=/; HttpOnly")
	value := affinity.CookieValue([]string{set}, wire.CookieStateful)
	address, expires, ok := affinity.DecodeCookie(value)
	require.True(t, ok)
	require.NotZero(t, expires)
	for range 10 {
		again := get(t, c, s.url, "Cookie", "jarvis="+value)
		require.Equal(t, res.Header.Get(wire.HeaderPod), again.Header.Get(wire.HeaderPod))
		require.Empty(t, again.Header.Get("Set-Cookie"))
	}
	expired := get(t, c, s.url, "Cookie", "jarvis="+affinity.EncodeCookie(address, 1))
	require.NotEmpty(t, expired.Header.Get("Set-Cookie"), "1970 is long ago")
}

func TestATokenOfADeadPodIsReplacedByTheRetry(t *testing.T) {
	gone := dead(t, "gone")
	alive := pods(t, 1)[0]
	for _, policy := range []mesh.Policy{mesh.StatefulByHeader, mesh.StatefulByCookie} {
		s := serve(t, options(t, newFile(t, gone, alive), policy))
		res := get(t, client(t, false), s.url, token(policy, gone.Address)...)
		require.Equal(t, http.StatusOK, res.StatusCode)
		require.Equal(t, emission(policy, alive.Address), emitted(policy, res))
		require.EqualValues(t, 1, s.counter(t, "mesh_retries_total"))
	}
}
