package stage

import (
	_ "embed"
	"net/http"
)

// openAPI describes what New serves.
//
//go:embed openapi.yaml
var openAPI []byte

func serveOpenAPI() http.HandlerFunc {
	f := newFile(openAPI)
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/yaml") // RFC 9512
		f.serve(w, r, "openapi.yaml")
	}
}
