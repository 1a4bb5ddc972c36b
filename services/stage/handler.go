package stage

import (
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/smaran-v2/smaran/services/stage/director"
	"github.com/smaran-v2/smaran/services/wire"
)

// Paths that are served, besides the page's own.
const (
	pathAPI     = "/api/v1"
	pathStream  = pathAPI + "/stream"
	pathState   = pathAPI + "/state"
	pathOpenAPI = pathAPI + "/openapi.yaml"
	pathReplay  = pathAPI + "/replay"
	pathAssets  = "/assets/"
)

// methods of smaran's public API, and so of all that is served.
var methods = []string{http.MethodDelete, http.MethodGet, http.MethodOptions, http.MethodPatch, http.MethodPost}

// New serves the page, the stream, the controls and the way through to smaran. It fails with ErrOptions.
func New(o Options) (http.Handler, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	page, err := newPage(o.Page)
	if err != nil {
		return nil, err
	}
	way, err := newWay(o.Lanes, o.Log)
	if err != nil {
		return nil, err
	}
	return newRouter(&o, page, way), nil
}

func newRouter(o *Options, page *page, way *way) chi.Router {
	guard := &guard{options: o}
	router := chi.NewRouter()
	router.Use(secured, guard.hosts, guard.origins, middleware.GetHead)
	router.NotFound(notFound)
	router.MethodNotAllowed(methodNotAllowed(router))

	router.Get("/", page.index)
	router.Get(pathAssets+"*", page.asset)
	stream := &stream{scene: o.Scene, log: o.Log, show: o.show()}
	router.Get(pathStream, stream.follow)
	router.Get(pathState, stream.state)
	router.Get(pathOpenAPI, serveOpenAPI())
	for _, method := range methods {
		router.Method(method, director.PathSmaran+"{lane}/*", way)
	}
	router.Group(func(r chi.Router) {
		r.Use(guard.tokens)
		for _, f := range forms {
			r.Post(f.path(), order(o, f))
		}
		r.Post(pathReplay, replay(o))
	})
	return router
}

func notFound(w http.ResponseWriter, r *http.Request) {
	wire.Problem{
		Status: http.StatusNotFound, Code: wire.CodeNotFound, Detail: "there is nothing at this path",
		Received: r.URL.Path, Expected: "what " + pathOpenAPI + " lists",
	}.Write(w)
}

func methodNotAllowed(routes chi.Routes) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var allowed []string
		for _, method := range methods {
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
