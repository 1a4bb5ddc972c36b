package mesh

import (
	"net/http"
	"slices"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/endpoints"
)

// sessions is Envoy's stateful session filter (extensions/filters/http/stateful_session), which is not strict in Istio: a
// token that selects no pod is replaced by that of the pod which the balancer picked.
type sessions struct {
	policy     Policy
	selectable []endpoints.Health
	ttl        time.Duration
	clock      clockwork.Clock
}

func newSessions(o Options, clock clockwork.Clock) sessions {
	return sessions{
		policy:     o.Policy,
		selectable: o.Policy.Selectable(),
		ttl:        o.CookieTTL.Truncate(time.Second),
		clock:      clock,
	}
}

// now is in the seconds that a cookie's expiry is measured in: since 1970, as Envoy 1.40 does it (older ones counted since
// the machine's start).
func (s *sessions) now() uint64 { return uint64(s.clock.Now().Unix()) }

// address is what the request's token holds, or "" where it has none that Envoy takes.
func (s *sessions) address(h http.Header) string {
	switch s.policy {
	case StatefulByHeader:
		address, _ := affinity.DecodeHeader(first(h[StatefulHeader]))
		return address
	case StatefulByCookie:
		address, expires, ok := affinity.DecodeCookie(affinity.CookieValue(h["Cookie"], StatefulCookie))
		if !ok || expires != 0 && s.now() > expires {
			return ""
		}
		return address
	default:
		return ""
	}
}

// selects is whether a token may select t. Every retry and every other status is left to the balancer.
func (s *sessions) selects(t *target) bool {
	return t != nil && slices.Contains(s.selectable, t.Health)
}

// answer writes the token of the pod that was asked, even in vain, into the response, unless the request had it.
func (s *sessions) answer(h http.Header, requested string, t *target) {
	if t == nil || requested == t.Address {
		return
	}
	switch s.policy {
	case StatefulByHeader:
		h[StatefulHeader] = []string{t.headerToken}
	case StatefulByCookie:
		var expires uint64
		if s.ttl > 0 {
			expires = s.now() + uint64(s.ttl/time.Second)
		}
		h["Set-Cookie"] = append(h["Set-Cookie"],
			affinity.FormatSetCookie(StatefulCookie, affinity.EncodeCookie(t.Address, expires), CookiePath, s.ttl))
	}
}
