package stage

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"

	"github.com/smaran-v2/smaran/services/internal/httpserver"
	"github.com/smaran-v2/smaran/services/wire"
)

// policy is what the page may load: its own files. A call's sound is a blob or a stream of media.
const policy = "default-src 'self'; media-src 'self' blob: mediastream:; img-src 'self' data:; object-src 'none'; base-uri 'none'; " +
	"form-action 'none'; frame-ancestors 'none'"

// secured has the browser hold everything of this origin to the policy, what smaran answered too.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "microphone=(self), camera=(), geolocation=()")
		next.ServeHTTP(w, r)
	})
}

// guard refuses what other pages, and other people, would have the stage do.
type guard struct {
	options *Options
	cross   http.CrossOriginProtection
}

// hosts refuses names that were made to resolve to this machine (DNS rebinding).
func (g *guard) hosts(next http.Handler) http.Handler {
	if g.options.Token != "" || !g.options.steerable() {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !httpserver.NamesLoopback(r) {
			wire.Problem{
				Status: http.StatusForbidden, Code: wire.CodeHostRefused, Detail: "without a token the stage is for this machine alone",
				Received: r.Host, Expected: "a loopback host", Example: "127.0.0.1",
			}.Write(w)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// origins refuses what another origin's page sends, smaran's calls too.
func (g *guard) origins(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := g.cross.Check(r); err != nil {
			wire.Problem{Status: http.StatusForbidden, Code: wire.CodeCrossOrigin, Detail: err.Error(), Received: r.Header.Get("Origin")}.Write(w)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (g *guard) tokens(next http.Handler) http.Handler {
	if g.options.Token == "" {
		return next
	}
	want := sha256.Sum256([]byte(g.options.Token)) // equally long for the comparison, so that it does not tell the length
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		got := sha256.Sum256([]byte(token))
		if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			w.Header().Set("WWW-Authenticate", "Bearer")
			wire.Problem{
				Status: http.StatusUnauthorized, Code: wire.CodeUnauthorized, Detail: "the token is missing, or another one",
				Expected: "the token that the stage was started with", Example: "Authorization: Bearer TOKEN",
			}.Write(w)
			return
		}
		next.ServeHTTP(w, r)
	})
}
