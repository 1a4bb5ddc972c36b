package backend

import (
	"net/http"
	"time"

	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/wire"
)

// newStatefulCookie is Envoy's stateful session with the cookie extension, which also reaches a pod that drains.
func newStatefulCookie(d Deps) (Backend, error) { return newStateful(d, cookieCarrier{}) }

type cookieCarrier struct{}

func (cookieCarrier) fromClient(h http.Header) string {
	return affinity.CookieValue(h.Values("Cookie"), wire.CookieStateful)
}

func (cookieCarrier) toMesh(h http.Header, raw string) {
	h.Set("Cookie", wire.CookieStateful+`="`+raw+`"`)
}

func (cookieCarrier) fromMesh(h http.Header) string {
	for _, line := range h.Values("Set-Cookie") {
		if c, err := http.ParseSetCookie(line); err == nil && c.Name == wire.CookieStateful {
			return c.Value
		}
	}
	return ""
}

func (cookieCarrier) encode(address string) string { return affinity.EncodeCookie(address, 0) }

func (cookieCarrier) toClient(h http.Header, sealed string, ttl time.Duration) {
	h.Set("Set-Cookie", affinity.FormatSetCookie(wire.CookieStateful, sealed, "/", ttl))
}
