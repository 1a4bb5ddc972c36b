package mesh_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/mesh"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/wire"
)

func names(t testing.TB, c *http.Client, url string, n int, id func(i int) string) map[string]int {
	t.Helper()
	seen := map[string]int{}
	for i := range n {
		seen[podOf(t, c, url, id(i))]++
	}
	return seen
}

func noSession(int) string { return "" }

func TestASessionHasOnePodWhileEndpointsStay(t *testing.T) {
	for _, policy := range []mesh.Policy{mesh.Ring, mesh.Maglev} {
		for _, h2c := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s h2c=%t", policy, h2c), func(t *testing.T) {
				s := serve(t, options(t, newFile(t, pods(t, 4)...), policy))
				c := client(t, h2c)
				owners := map[string]int{}
				rapid.Check(t, func(rt *rapid.T) {
					id := rapid.StringMatching(`[A-Za-z0-9._~-]{1,128}`).Draw(rt, "session")
					owner := podOf(t, c, s.url, id)
					owners[owner]++
					for range 3 {
						require.Equal(rt, owner, podOf(t, c, s.url, id))
					}
				})
				require.Len(t, owners, 4, "different sessions have different pods")
				require.Len(t, names(t, c, s.url, 100, noSession), 4, "without the header requests spread")
			})
		}
	}
}

func TestPoliciesWithoutAffinitySpreadASession(t *testing.T) {
	for _, policy := range []mesh.Policy{mesh.RoundRobin, mesh.Random, mesh.LeastRequest} {
		t.Run(string(policy), func(t *testing.T) {
			s := serve(t, options(t, newFile(t, pods(t, 3)...), policy))
			seen := names(t, client(t, false), s.url, 99, func(int) string { return "session-1" })
			require.Len(t, seen, 3)
			if policy == mesh.RoundRobin {
				require.Equal(t, map[string]int{"jarvis-0": 33, "jarvis-1": 33, "jarvis-2": 33}, seen)
			}
			for name, n := range seen {
				require.EqualValues(t, n, s.counter(t, "mesh_picks_total", "policy", string(policy), "pod", name))
			}
		})
	}
}

func TestPicksFollowTheAlgorithmsAcrossAChange(t *testing.T) {
	for policy, algorithm := range map[mesh.Policy]affinity.Policy{mesh.Ring: affinity.PolicyRing, mesh.Maglev: affinity.PolicyMaglev} {
		t.Run(string(policy), func(t *testing.T) {
			list := pods(t, 10)
			f := newFile(t, list[:3]...)
			s := serve(t, options(t, f, policy))
			c := client(t, false)
			var ids []string
			for i := range 200 {
				ids = append(ids, fmt.Sprintf("session-%d", i))
			}
			host := func(list []endpoints.Endpoint) []affinity.Host { return endpoints.Set{Endpoints: list}.Hosts() }
			predicted, err := affinity.Predict(algorithm, affinity.Options{}, host(list[:3]), host(list), ids)
			require.NoError(t, err)
			require.NotZero(t, predicted.Moved)
			name := map[string]string{}
			for _, e := range list {
				name[e.Address] = e.Pod
			}
			for _, p := range predicted.Picks {
				require.Equal(t, name[p.From], podOf(t, c, s.url, p.Session))
			}
			f.set(t, list...)
			s.reloaded(t, 2)
			for _, p := range predicted.Picks {
				require.Equal(t, name[p.To], podOf(t, c, s.url, p.Session))
			}
		})
	}
}

func TestPicksOfPodsThatLeftAreShownNoMore(t *testing.T) {
	list := pods(t, 4)
	f := newFile(t, list...)
	s := serve(t, options(t, f, mesh.RoundRobin))
	names(t, client(t, false), s.url, 8, noSession)
	require.EqualValues(t, 8, s.counter(t, "mesh_picks_total"))
	f.set(t, list[:1]...)
	s.reloaded(t, 2)
	require.EqualValues(t, 2, s.counter(t, "mesh_picks_total"), "that of the one that stays")
}

func TestAllValuesOfTheHeaderCount(t *testing.T) {
	s := serve(t, options(t, newFile(t, pods(t, 5)...), mesh.Ring))
	c := client(t, false)
	differs := false
	for i := range 20 {
		one, two := fmt.Sprintf("a-%d", i), fmt.Sprintf("b-%d", i)
		forth := get(t, c, s.url, session.Header, one, session.Header, two).Header.Get(wire.HeaderPod)
		back := get(t, c, s.url, session.Header, two, session.Header, one).Header.Get(wire.HeaderPod)
		require.Equal(t, forth, back, "values are sorted")
		differs = differs || forth != podOf(t, c, s.url, one)
	}
	require.True(t, differs, "the second value counts")
}

func TestOnlyPodsInRotationAreUsed(t *testing.T) {
	list := pods(t, 5)
	list[1].Health, list[2].Health, list[3].Health = endpoints.Draining, endpoints.Unhealthy, endpoints.Timeout
	list[4].Health = endpoints.Unknown
	for _, policy := range mesh.Policies() {
		t.Run(string(policy), func(t *testing.T) {
			s := serve(t, options(t, newFile(t, list...), policy))
			seen := names(t, client(t, false), s.url, 60, func(i int) string { return fmt.Sprintf("session-%d", i) })
			require.Len(t, seen, 2)
			require.Contains(t, seen, "jarvis-0")
			require.Contains(t, seen, "jarvis-4")
		})
	}
}

func TestDegradedPodsTakeWhatTooFewHealthyOnesLeave(t *testing.T) {
	list := pods(t, 2)
	list[1].Health = endpoints.Degraded
	for policy, want := range map[mesh.Policy]int{mesh.RoundRobin: 2, mesh.Random: 2, mesh.LeastRequest: 2, mesh.Ring: 1, mesh.Maglev: 1} {
		t.Run(string(policy), func(t *testing.T) {
			s := serve(t, options(t, newFile(t, list...), policy))
			seen := names(t, client(t, false), s.url, 200, noSession)
			require.Len(t, seen, want)
			if want == 2 {
				require.InDelta(t, 60, seen["jarvis-1"], 25, "30 in 100")
			}
		})
	}
}

func TestWithoutAPodTheAnswerIs503(t *testing.T) {
	for _, policy := range mesh.Policies() {
		for _, list := range [][]endpoints.Endpoint{nil, {with(dead(t, "a"), endpoints.Unhealthy)}} {
			s := serve(t, options(t, newFile(t, list...), policy))
			res := get(t, client(t, false), s.url)
			require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
			require.Equal(t, "no healthy upstream", bodyOf(t, res))
			require.Equal(t, "text/plain", res.Header.Get("Content-Type"))
			require.Empty(t, res.Header.Get(wire.HeaderStateful))
			res = get(t, client(t, true), s.url, "Content-Type", "application/grpc")
			require.Equal(t, http.StatusOK, res.StatusCode)
			require.Equal(t, "14", res.Header.Get("Grpc-Status"))
			require.Equal(t, "no healthy upstream", res.Header.Get("Grpc-Message"))
			require.EqualValues(t, 2, s.counter(t, "mesh_failures_total", "flag", "UH"))
		}
	}
}
