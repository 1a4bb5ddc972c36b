package envoyconfig_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	mdns "github.com/miekg/dns"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/discovery/dns"
	"github.com/smaran-v2/smaran/services/mesh"
	"github.com/smaran-v2/smaran/services/mesh/envoyconfig"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/testreal"
	"github.com/smaran-v2/smaran/services/wire"
)

// within is more than any change takes to reach Envoy.
const within = 10 * time.Second

// pod answers requests with its address, and checks as it is told.
type pod struct {
	address           netip.AddrPort
	loading, draining atomic.Bool
}

func (p *pod) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != wire.PathReady {
		_, _ = io.WriteString(w, p.address.String())
		return
	}
	if p.draining.Load() {
		w.Header().Set(wire.HeaderEnvoyDegraded, "true")
	}
	if p.loading.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// startPods serves n pods at addresses of their own, on one port.
func startPods(t *testing.T, n int) []*pod {
	t.Helper()
	var pods []*pod
	port := "0"
	for i := range n {
		host := fmt.Sprintf("127.0.0.%d", 31+i)
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", net.JoinHostPort(host, port))
		if err != nil {
			testreal.Skip(t, "no pod can have an address of its own here: "+err.Error())
		}
		p := &pod{address: netip.MustParseAddrPort(l.Addr().String())}
		port = strconv.Itoa(int(p.address.Port()))
		server := httptest.NewUnstartedServer(p)
		require.NoError(t, server.Listener.Close())
		server.Listener = l
		server.Start()
		t.Cleanup(server.Close)
		pods = append(pods, p)
	}
	return pods
}

// name serves one name that resolves to all pods, and returns the server's address.
func name(t *testing.T, pods []*pod) netip.AddrPort {
	t.Helper()
	l, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	require.NoError(t, err)
	started, served := make(chan struct{}), make(chan error, 1)
	server := &mdns.Server{PacketConn: l, NotifyStartedFunc: func() { close(started) }}
	server.Handler = mdns.HandlerFunc(func(w mdns.ResponseWriter, question *mdns.Msg) {
		reply := new(mdns.Msg).SetReply(question)
		for _, p := range pods {
			if header := (mdns.RR_Header{Name: question.Question[0].Name, Rrtype: question.Question[0].Qtype, Class: mdns.ClassINET}); header.Rrtype == mdns.TypeA {
				reply.Answer = append(reply.Answer, &mdns.A{Hdr: header, A: p.address.Addr().AsSlice()})
			}
		}
		_ = w.WriteMsg(reply) // else Envoy asks again
	})
	go func() { served <- server.ActivateAndServe() }()
	<-started
	t.Cleanup(func() {
		require.NoError(t, server.Shutdown())
		require.NoError(t, <-served)
	})
	return netip.MustParseAddrPort(l.LocalAddr().String())
}

// startEnvoy runs the Envoy of docker compose over the pods, but with a name server of ours, and returns its URL.
func startEnvoy(t *testing.T, policy mesh.Policy, pods []*pod) string {
	t.Helper()
	o := options(t, policy)
	o.Listen, o.Admin = "127.0.0.1:0", ""
	port := pods[0].address.Port()
	bootstrap, err := envoyconfig.BootstrapDNS(o, dns.Name{Host: "jarvis.test", Port: port, Admin: port})
	require.NoError(t, err)
	var tree map[string]any
	require.NoError(t, json.Unmarshal(bootstrap, &tree))
	server := name(t, pods)
	tree["typed_dns_resolver_config"] = map[string]any{
		"name": "envoy.network.dns_resolver.cares",
		"typed_config": map[string]any{
			"@type":                     "type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig",
			"use_resolvers_as_fallback": false,
			"dns_resolver_options":      map[string]any{"no_default_search_domain": true},
			"resolvers":                 []any{map[string]any{"socket_address": map[string]any{"address": server.Addr().String(), "port_value": server.Port()}}},
		},
	}
	edited, err := json.Marshal(tree)
	require.NoError(t, err)
	return "http://" + testreal.StartEnvoy(t, string(edited)).Listener(t, envoyconfig.Listener)
}

// ask sends one request and returns the pod that answered, or the status.
func ask(t *testing.T, url, id string, header http.Header) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	req.Header = header.Clone()
	if req.Header == nil {
		req.Header = http.Header{}
	}
	req.Header.Set(session.Header, id)
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	if res.StatusCode != http.StatusOK {
		return res.Status
	}
	return string(body)
}

// picks is which pod answers each session.
func picks(t *testing.T, url string) map[string]string {
	out := map[string]string{}
	for i := range 60 {
		id := fmt.Sprint("session-", i)
		out[id] = ask(t, url, id, nil)
	}
	return out
}

// ringOver is which pod Envoy's ring has for each session.
func ringOver(t *testing.T, pods ...*pod) map[string]string {
	t.Helper()
	hosts := make([]affinity.Host, len(pods))
	for i, p := range pods {
		hosts[i].Address = p.address.String()
	}
	ring, err := affinity.NewRing(hosts, affinity.Options{})
	require.NoError(t, err)
	out := map[string]string{}
	for i := range 60 {
		id := fmt.Sprint("session-", i)
		out[id] = hosts[ring.Pick(affinity.HashValue(id), 0)].Address
	}
	return out
}

func TestEnvoyHashesOverTheReadyPodsOfAName(t *testing.T) {
	pods := startPods(t, 4)
	pods[3].loading.Store(true)
	url := startEnvoy(t, mesh.Ring, pods)

	// Not yet ready: not in the ring, from the first request on.
	require.Equal(t, ringOver(t, pods[:3]...), picks(t, url))
	settles := func(want map[string]string) {
		t.Helper()
		require.EventuallyWithT(t, func(c *assert.CollectT) { assert.Equal(c, want, picks(t, url)) }, within, dns.Interval/5)
	}
	pods[3].loading.Store(false)
	settles(ringOver(t, pods...))
	// Two drain: the other two have all sessions, and none is left to chance.
	pods[0].draining.Store(true)
	pods[1].draining.Store(true)
	settles(ringOver(t, pods[2], pods[3]))
	pods[0].draining.Store(false)
	settles(ringOver(t, pods[0], pods[2], pods[3]))
}

func TestADrainingPodIsReachedByCookieAlone(t *testing.T) {
	for policy, reached := range map[mesh.Policy]bool{mesh.StatefulByCookie: true, mesh.StatefulByHeader: false} {
		t.Run(string(policy), func(t *testing.T) {
			pods := startPods(t, 3)
			url := startEnvoy(t, policy, pods)
			address := pods[1].address.String()
			token := http.Header{}
			token.Set(mesh.StatefulHeader, affinity.EncodeHeader(address))
			token.Set("Cookie", mesh.StatefulCookie+"="+affinity.EncodeCookie(address, 0))
			require.Equal(t, address, ask(t, url, "s", token))

			pods[1].draining.Store(true)
			// New sessions stay away from it: that Envoy knows.
			require.Eventually(t, func() bool {
				for _, answered := range picks(t, url) {
					if answered == address {
						return false
					}
				}
				return true
			}, within, dns.Interval/5)
			require.Equal(t, reached, ask(t, url, "s", token) == address)
		})
	}
}
