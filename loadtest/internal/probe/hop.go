package probe

import (
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"

	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/wire"
)

// Hop is a service in the middle of a chain: it passes requests on to a URL, with the session header or without it, and gives back what
// comes of them. It answers only wire.PathReady itself. It fails with ErrBatch for anything but scheme and authority.
func Hop(to string, drops bool) (http.Handler, error) {
	target, err := url.Parse(to)
	if err != nil || target.Scheme != "http" || target.Host == "" || target.Path != "" {
		return nil, fmt.Errorf("%w: forward to %q: expected such as http://jarvis-service", ErrBatch, to)
	}
	mux := http.NewServeMux()
	mux.HandleFunc(wire.PathReady, func(http.ResponseWriter, *http.Request) {})
	mux.Handle("/", &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		if drops {
			r.Out.Header.Del(session.Header)
		}
	}})
	return mux, nil
}
