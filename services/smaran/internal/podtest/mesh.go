package podtest

import (
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"

	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/wire"
)

// Policy is how the mesh chooses.
type Policy string

// The policies.
const (
	Ring           Policy = "ring"
	Maglev         Policy = "maglev"
	StatefulHeader Policy = "stateful-header"
	StatefulCookie Policy = "stateful-cookie"
)

// Mesh starts a proxy over the fleet that chooses as Envoy does, and returns its URL. It ends with the test.
func (f *Fleet) Mesh(t testing.TB, policy Policy) string {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hosts := f.Current().Hosts()
		if len(hosts) == 0 {
			http.Error(w, "no healthy upstream", http.StatusServiceUnavailable)
			return
		}
		address, respond := f.pick(policy, hosts, r)
		proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: address})
		proxy.Transport = transport
		proxy.FlushInterval = -1
		proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) {
			http.Error(w, "upstream connect error", http.StatusServiceUnavailable)
		}
		proxy.ModifyResponse = func(res *http.Response) error { respond(res.Header); return nil }
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func (f *Fleet) pick(policy Policy, hosts []affinity.Host, r *http.Request) (address string, respond func(http.Header)) {
	drawn := hosts[rand.IntN(len(hosts))].Address
	none := func(http.Header) {}
	known := func(wanted string) bool { _, there := f.Current().LookupAddress(wanted); return there }
	switch policy {
	case StatefulHeader:
		if wanted, ok := affinity.DecodeHeader(r.Header.Get(wire.HeaderStateful)); ok && known(wanted) {
			return wanted, none
		}
		return drawn, func(h http.Header) { h.Set(wire.HeaderStateful, affinity.EncodeHeader(drawn)) }
	case StatefulCookie:
		if wanted, _, ok := affinity.DecodeCookie(affinity.CookieValue(r.Header["Cookie"], wire.CookieStateful)); ok && known(wanted) {
			return wanted, none
		}
		return drawn, func(h http.Header) {
			h.Set("Set-Cookie", affinity.FormatSetCookie(wire.CookieStateful, affinity.EncodeCookie(drawn, 0), "/", 0))
		}
	}
	hash, ok := affinity.HashHeader(r.Header.Values(session.Header))
	if !ok {
		return drawn, none
	}
	picker, err := affinity.New(affinity.Policy(policy), hosts, affinity.Options{})
	if err != nil {
		return drawn, none
	}
	return hosts[picker.Pick(hash, 0)].Address, none
}
