package affinity

import (
	"fmt"
	"strings"
	"time"
)

// CookieValue is the value of the first cookie called name in the values of a request's Cookie headers, without the
// quotes around it, or "" (parseCookieValue in common/http/utility.cc). It takes what Envoy takes: net/http drops
// cookies whose name or value the RFC forbids, Envoy does not.
func CookieValue(headers []string, name string) string {
	for _, header := range headers {
		for part := range strings.SplitSeq(header, ";") {
			k, v, found := strings.Cut(strings.TrimLeft(part, " "), "=")
			if !found || k != name {
				continue
			}
			if len(v) >= 2 && v[0] == '"' && v[len(v)-1] == '"' {
				v = v[1 : len(v)-1]
			}
			return v
		}
	}
	return ""
}

// FormatSetCookie is a Set-Cookie header as Envoy writes it for generated hash cookies and session tokens
// (makeSetCookieValue in common/http/utility.cc). ttl is cut to whole seconds; 0 leaves Max-Age out. An empty path
// is left out.
func FormatSetCookie(name, value, path string, ttl time.Duration) string {
	var b strings.Builder
	fmt.Fprintf(&b, `%s="%s"`, name, value)
	if seconds := int64(ttl / time.Second); seconds != 0 {
		fmt.Fprintf(&b, "; Max-Age=%d", seconds)
	}
	if path != "" {
		fmt.Fprintf(&b, "; Path=%s", path)
	}
	b.WriteString("; HttpOnly")
	return b.String()
}
