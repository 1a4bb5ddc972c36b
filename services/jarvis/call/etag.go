package call

import (
	"crypto/rand"
	"strings"
)

// newETag makes an entity-tag for one ICE session. It is random, not the ufrag: peers see that in the clear.
func newETag() string { return `"` + rand.Text() + `"` }

// etagMatches evaluates an If-Match header by RFC 9110 section 13.1.1: "*" matches, else one of the listed tags must be
// equal by strong comparison, which no weak tag ever is. Without a header there is no condition.
func etagMatches(ifMatch, etag string) bool {
	if ifMatch == "" || strings.TrimSpace(ifMatch) == "*" {
		return true
	}
	for tag := range strings.SplitSeq(ifMatch, ",") { // ours hold no comma
		if strings.TrimSpace(tag) == etag {
			return true
		}
	}
	return false
}
