package podtest

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/mesh"
	"github.com/smaran-v2/smaran/services/wire"
)

// Peers starts a mesh that takes a request to the pod its cookie wire.CookiePeer names, and returns its URL. It is the mesh of
// stateful-cookie under another cookie's name, so that the two can't be taken for one another.
func (f *Fleet) Peers(t testing.TB) string {
	t.Helper()
	target, err := url.Parse(f.Mesh(t, mesh.StatefulByCookie))
	require.NoError(t, err)
	transport := &http.Transport{DisableCompression: true}
	rename := func(lines []string, from, to string) {
		for i, line := range lines {
			lines[i] = strings.Replace(line, from+"=", to+"=", 1)
		}
	}
	server := httptest.NewServer(&httputil.ReverseProxy{
		Transport:     transport,
		FlushInterval: -1, // event streams
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			rename(r.Out.Header["Cookie"], wire.CookiePeer, wire.CookieStateful)
		},
		ModifyResponse: func(r *http.Response) error {
			rename(r.Header["Set-Cookie"], wire.CookieStateful, wire.CookiePeer)
			return nil
		},
	})
	t.Cleanup(func() {
		server.Close()
		transport.CloseIdleConnections()
	})
	return server.URL
}
