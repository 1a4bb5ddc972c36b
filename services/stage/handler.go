package stage

import (
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/smaran-v2/smaran/services/wire"
)

// Paths that are served, besides the page's own.
const (
	pathAPI    = "/api/v1"
	pathStream = pathAPI + "/stream"
	pathState  = pathAPI + "/state"
	pathSmaran = "/smaran"
	pathAssets = "/assets/"
)

// New serves the page, the stream, the controls and the way through to smaran. It fails with ErrOptions.
func New(o Options) (http.Handler, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	page, err := newPage(o.Page)
	if err != nil {
		return nil, err
	}
	way, err := newWay(o.Lanes)
	if err != nil {
		return nil, err
	}
	return newRouter(&o, page, way), nil
}

func newRouter(o *Options, page *page, way *way) chi.Router {
	guard := &guard{options: o}
	router := chi.NewRouter()
	router.Use(secured, guard.hosts, guard.origins)
	router.NotFound(notFound)
	router.MethodNotAllowed(methodNotAllowed(router))

	router.Get("/", page.index)
	router.Get(pathAssets+"*", page.asset)
	stream := &stream{scene: o.Scene, log: o.Log}
	router.Get(pathStream, stream.follow)
	router.Get(pathState, stream.state)
	router.Handle(pathSmaran+"/{lane}/*", way)
	router.Group(func(r chi.Router) {
		r.Use(guard.tokens)
		for _, f := range forms {
			r.Post(f.path(), order(o, f))
		}
	})
	return router
}

func notFound(w http.ResponseWriter, r *http.Request) {
	wire.Problem{
		Status: http.StatusNotFound, Code: wire.CodeNotFound, Detail: "there is nothing at this path",
		Received: r.URL.Path, Expected: "the page, " + pathStream + " or another path of " + pathAPI,
	}.Write(w)
}

func methodNotAllowed(routes chi.Routes) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var allowed []string
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			if routes.Match(chi.NewRouteContext(), method, r.URL.Path) {
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
