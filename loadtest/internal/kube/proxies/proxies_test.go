package proxies_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/smaran-v2/smaran/loadtest/internal/envoyadmin"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/proxies"
	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/mesh"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const cluster = "outbound|80||jarvis-service.dev.svc.cluster.local"

// admin answers with what Envoy 1.39.3 under Istio 1.31 said, cut down to two pods.
func admin(t *testing.T, answers map[string]string) *proxies.Proxy {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := r.URL.Path
		if resource := r.URL.Query().Get("resource"); resource != "" {
			key = resource
		}
		answer, ok := answers[key]
		if !ok {
			http.Error(w, "no such thing", http.StatusNotFound)
			return
		}
		fmt.Fprint(w, answer)
	}))
	p := proxies.New("smaran-v2-1", func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", server.Listener.Addr().String())
	})
	t.Cleanup(func() {
		p.Close()
		server.Close()
	})
	return p
}

func TestWhatAProxySays(t *testing.T) {
	p := admin(t, map[string]string{
		"/server_info": `{"version":"5db4a3b/1.39.3/Clean/RELEASE/BoringSSL","state":"LIVE"}`,
		"dynamic_endpoint_configs": `{"configs":[{"endpoint_config":{"cluster_name":"` + cluster + `","endpoints":[{"locality":{},"lb_endpoints":[
			{"endpoint":{"address":{"socket_address":{"address":"10.244.0.9","port_value":8080}}},"health_status":"HEALTHY"},
			{"endpoint":{"address":{"socket_address":{"address":"10.244.0.7","port_value":8080}}},"health_status":"DRAINING"}]}]}}]}`,
		"dynamic_active_clusters": `{"configs":[{"cluster":{"name":"` + cluster + `","lb_policy":"RING_HASH","ring_hash_lb_config":{"minimum_ring_size":"10240"}}}]}`,
		"dynamic_route_configs": `{"configs":[{"route_config":{"virtual_hosts":[
			{"name":"jarvis-peers.dev.svc.cluster.local:80","typed_per_filter_config":{"envoy.filters.http.stateful_session":{"type":"CookieBasedSessionState"}}},
			{"name":"jarvis-service.dev.svc.cluster.local:80","typed_per_filter_config":{"envoy.filters.http.stateful_session":{"type":"HeaderBasedSessionState"}}}]}}]}`,
	})
	version, err := p.Version(t.Context())
	require.NoError(t, err)
	require.Equal(t, "1.39.3", version)
	hosts, err := p.Hosts(t.Context(), cluster)
	require.NoError(t, err)
	require.Equal(t, []endpoints.Endpoint{
		{Address: "10.244.0.9:8080", Health: endpoints.Healthy}, {Address: "10.244.0.7:8080", Health: endpoints.Draining},
	}, hosts)
	require.Equal(t, []string{"10.244.0.9:8080"}, proxies.InRotation(hosts))
	balancing, err := p.Balancing(t.Context(), cluster)
	require.NoError(t, err)
	require.Equal(t, envoyadmin.Balancing{Policy: mesh.Ring, RingSize: 10240}, balancing)
	stateful, err := p.Stateful(t.Context(), "80", "jarvis-service.dev.svc.cluster.local")
	require.NoError(t, err)
	require.Equal(t, mesh.StatefulByHeader, stateful, "and not that of the Service beside it")
	stateful, err = p.Stateful(t.Context(), "80", "redis.dev.svc.cluster.local")
	require.NoError(t, err)
	require.Empty(t, stateful)
}

func TestAProxyThatKnowsNothing(t *testing.T) {
	p := admin(t, map[string]string{"dynamic_endpoint_configs": `{}`, "dynamic_active_clusters": `{"configs":[]}`})
	_, err := p.Hosts(t.Context(), cluster)
	require.ErrorIs(t, err, envoyadmin.ErrNoCluster)
	_, err = p.Balancing(t.Context(), cluster)
	require.ErrorIs(t, err, envoyadmin.ErrNoCluster)
	_, err = p.Version(t.Context())
	require.ErrorIs(t, err, envoyadmin.ErrAdmin)
	require.ErrorContains(t, err, "smaran-v2-1")
}

func set(addresses ...string) []endpoints.Endpoint {
	var out []endpoints.Endpoint
	for _, a := range addresses {
		out = append(out, endpoints.Endpoint{Address: a, Health: endpoints.Healthy})
	}
	return out
}

func TestArrivals(t *testing.T) {
	start := time.Unix(1000, 0)
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	a := &proxies.Arrivals{}
	a.Wrote(at(0), set("a", "b"))
	a.Wrote(at(100), set("a", "b", "c"))
	a.Wrote(at(1000), set("a"))

	a.Saw(at(50), set("x")) // from before the first
	slowest, arrived, waiting := a.Summary()
	require.Zero(t, slowest)
	require.Zero(t, arrived)
	require.Equal(t, at(0), waiting)

	a.Saw(at(300), set("c", "b", "a")) // the first was overtaken
	slowest, arrived, waiting = a.Summary()
	require.Equal(t, 300*time.Millisecond, slowest)
	require.Equal(t, 2, arrived)
	require.Equal(t, at(1000), waiting)

	a.Saw(at(1050), set("a"))
	slowest, arrived, waiting = a.Summary()
	require.Equal(t, 300*time.Millisecond, slowest, "the longest counts")
	require.Equal(t, 3, arrived)
	require.Zero(t, waiting)
}

// A pod went and came back before the proxy heard of either: what it has is what it should have, until the first change reaches it late.
func TestAChangeThatWasTakenBackArrivesLate(t *testing.T) {
	start := time.Unix(1000, 0)
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	a := &proxies.Arrivals{}
	a.Has(set("a", "b"))
	a.Saw(at(0), set("a", "b"))
	_, arrived, waiting := a.Summary()
	require.Zero(t, arrived, "nothing was written")
	require.Zero(t, waiting)

	a.Wrote(at(100), set("a"))
	a.Wrote(at(900), set("a", "b"))
	a.Saw(at(1000), set("a", "b"))
	a.Saw(at(1200), set("a", "b"))
	slowest, arrived, waiting := a.Summary()
	require.Equal(t, 900*time.Millisecond, slowest)
	require.Equal(t, 2, arrived)
	require.Zero(t, waiting)

	a.Saw(at(4000), set("a"))
	a.Saw(at(4400), set("a", "b"))
	slowest, _, _ = a.Summary()
	require.Equal(t, 3900*time.Millisecond, slowest)
}

// What was not seen because the proxy could not be asked is told from what it did not have.
func TestArrivalsKeepWhyAProxyCouldNotBeAsked(t *testing.T) {
	start := time.Unix(1000, 0)
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	a := &proxies.Arrivals{}
	a.Has(set("a"))
	a.Wrote(at(0), set("a", "b"))
	cut := errors.New("the line is cut")
	a.Failed(cut)
	last, slowest := a.Trouble()
	require.Equal(t, cut, last)
	require.NoError(t, slowest)

	a.Saw(at(4000), set("a", "b"))
	last, slowest = a.Trouble()
	require.NoError(t, last, "it answers again")
	require.Equal(t, cut, slowest)

	a.Wrote(at(5000), set("a"))
	a.Saw(at(9800), set("a"))
	_, slowest = a.Trouble()
	require.NoError(t, slowest, "this one was slow by itself")
}

func TestFollowNotesWhyAProxyCouldNotBeAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cut := errors.New("the line is cut")
		p := proxies.New("smaran-v2-1", func(context.Context) (net.Conn, error) { return nil, cut })
		defer p.Close()
		ctx, stop := context.WithCancel(t.Context())
		var a proxies.Arrivals
		var done sync.WaitGroup
		done.Go(func() { proxies.Follow(ctx, clockwork.NewRealClock(), p, cluster, &a) })
		synctest.Wait()
		stop()
		done.Wait()
		last, _ := a.Trouble()
		require.ErrorIs(t, last, cut)
	})
}

func TestProxiesWithDifferentHostsDisagreeOnSomeSessions(t *testing.T) {
	var sessions []string
	for i := range 200 {
		sessions = append(sessions, fmt.Sprint("session-", i))
	}
	same, err := proxies.Disagree(affinity.PolicyRing, affinity.Options{}, set("10.0.0.1:80", "10.0.0.2:80"), set("10.0.0.2:80", "10.0.0.1:80"), sessions)
	require.NoError(t, err)
	require.Zero(t, same, "the order does not matter")
	other, err := proxies.Disagree(affinity.PolicyRing, affinity.Options{}, set("10.0.0.1:80", "10.0.0.2:80"), set("10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"), sessions)
	require.NoError(t, err)
	require.InDelta(t, 70, other, 30, "about a third of 200")
}
