package stage

import (
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/smaran-v2/smaran/services/internal/routes"
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

// New serves the page, the stream, the controls and the way through to smaran. It fails with ErrOptions.
func New(o Options) (http.Handler, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	page, err := newPage(o.Page)
	if err != nil {
		return nil, err
	}
	way, err := newWay(o)
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
	router.MethodNotAllowed(routes.MethodNotAllowed(router))

	router.Get("/", page.index)
	router.Get(pathAssets+"*", page.asset)
	stream := &stream{scene: o.Scene, log: o.Log, show: o.show()}
	router.Get(pathStream, stream.follow)
	router.Get(pathState, stream.state)
	router.Get(pathOpenAPI, serveOpenAPI())
	for _, method := range routes.Methods {
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
