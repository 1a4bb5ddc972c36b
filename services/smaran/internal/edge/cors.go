package edge

import (
	"net/http"
	"slices"

	"github.com/go-chi/cors"

	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/wire"
)

// preflightAge is how long a browser may remember that it was allowed, in seconds.
const preflightAge = 600

// crossOrigin lets pages of other origins call, and read what a call needs: RFC 9725 wants Location and ETag exposed (section 4.2), and
// Link tells of the relay (section 4.6).
// Cookies go along only where the origins are listed. Without origins no page may.
func crossOrigin(origins []string) func(http.Handler) http.Handler {
	if len(origins) == 0 {
		// The library would take that as any.
		return func(next http.Handler) http.Handler { return next }
	}
	return cors.Handler(cors.Options{
		AllowedOrigins: origins,
		AllowedMethods: []string{http.MethodDelete, http.MethodGet, http.MethodOptions, http.MethodPatch, http.MethodPost},
		AllowedHeaders: []string{
			"Content-Type", "If-Match", "Last-Event-ID", "Traceparent", "Tracestate", "Connect-Protocol-Version", "Connect-Timeout-Ms",
			session.Header, wire.HeaderBackend, wire.HeaderLostPod, wire.HeaderMigrate, wire.HeaderEpoch, wire.HeaderStateful,
		},
		ExposedHeaders: []string{
			"Location", "ETag", "Link", wire.HeaderAcceptPatch, wire.HeaderRetryAfter,
			session.Header, wire.HeaderBackend, wire.HeaderDegraded, wire.HeaderStateful,
			wire.HeaderPod, wire.HeaderIncarnation, wire.HeaderEpoch, wire.HeaderTurn, wire.HeaderChecksum, wire.HeaderCacheState,
			wire.HeaderForwarded,
		},
		AllowCredentials: !slices.Contains(origins, "*"),
		MaxAge:           preflightAge,
	})
}
