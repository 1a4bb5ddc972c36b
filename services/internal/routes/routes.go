// Package routes is what our routers answer alike.
package routes

import (
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/smaran-v2/smaran/services/wire"
)

// Methods are all that any path has.
var Methods = []string{http.MethodDelete, http.MethodGet, http.MethodOptions, http.MethodPatch, http.MethodPost}

// MethodNotAllowed answers that a path has no such method, and which it has.
func MethodNotAllowed(all chi.Routes) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var allowed []string
		for _, method := range Methods {
			if all.Match(chi.NewRouteContext(), method, r.URL.Path) {
				allowed = append(allowed, method)
			}
		}
		allow := strings.Join(allowed, ", ")
		w.Header().Set("Allow", allow)
		wire.Problem{
			Status: http.StatusMethodNotAllowed, Code: wire.CodeMethodNotAllowed, Detail: "the path has no such method",
			Received: r.Method, Expected: allow,
		}.Write(w)
	}
}
