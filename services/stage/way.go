package stage

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/smaran-v2/smaran/services/internal/config"
	"github.com/smaran-v2/smaran/services/internal/httpserver"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/stage/director"
	"github.com/smaran-v2/smaran/services/wire"
)

// way passes requests below /smaran/{lane}/ on to the lane's smaran, so that a call from the page stays within the page's origin.
type way struct {
	lanes map[string]*httputil.ReverseProxy
}

func newWay(o Options) (*way, error) {
	w := &way{lanes: map[string]*httputil.ReverseProxy{}}
	for _, l := range o.Lanes {
		if l.ID == "" || l.ID != url.PathEscape(l.ID) {
			return nil, fmt.Errorf("%w: lane %q: expected a name that can be in a path", ErrOptions, l.ID)
		}
		if _, twice := w.lanes[l.ID]; twice {
			return nil, fmt.Errorf("%w: lane %s is there twice", ErrOptions, l.ID)
		}
		if l.Smaran == "" || !config.IsBase(l.Smaran) {
			return nil, fmt.Errorf("%w: lane %s: smaran at %q, expected scheme and authority such as http://127.0.0.1:8080", ErrOptions, l.ID, l.Smaran)
		}
		target, err := url.Parse(l.Smaran)
		if err != nil {
			return nil, fmt.Errorf("%w: lane %s: %w", ErrOptions, l.ID, err)
		}
		w.lanes[l.ID] = proxy(target, director.PathSmaran+l.ID, &o)
	}
	return w, nil
}

func (p *way) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	lane := chi.URLParam(r, "lane")
	proxy, found := p.lanes[lane]
	if !found {
		wire.Problem{Status: http.StatusNotFound, Code: wire.CodeNotFound, Detail: "there is no such lane", Received: lane}.Write(w)
		return
	}
	if asked := strings.TrimPrefix(r.URL.Path, director.PathSmaran+lane); !passed(asked) {
		wire.Problem{
			Status: http.StatusNotFound, Code: wire.CodeNotFound, Detail: "the stage passes on what a call needs, and nothing else",
			Received: asked, Expected: strings.Join(passedOn, ", "),
		}.Write(w)
		return
	}
	if strings.Contains(r.Header.Get("Accept"), wire.ContentTypeEventStream) {
		ctx, stop := httpserver.UntilStopping(r.Context())
		defer stop()
		r = r.WithContext(ctx)
	}
	proxy.ServeHTTP(w, r)
}

// passedOn are the paths of smaran that a call needs. Its list of sessions is not among them.
var passedOn = []string{wire.PathInference, wire.PathSessions, wire.PathCalls}

func passed(asked string) bool {
	return path.Clean(asked) == asked && slices.ContainsFunc(passedOn, func(p string) bool { return asked == p || strings.HasPrefix(asked, p+"/") })
}

func proxy(target *url.URL, prefix string, o *Options) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		FlushInterval: -1, // event streams
		ErrorLog:      slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Path = strings.TrimPrefix(r.In.URL.Path, prefix)
			r.Out.URL.RawPath = strings.TrimPrefix(r.In.URL.RawPath, prefix)
			r.SetURL(target)
			r.SetXForwarded()
			// Of this origin smaran need not know, and the stage's token is none of its business.
			r.Out.Header.Del("Origin")
			r.Out.Header.Del("Authorization")
		},
		ModifyResponse: func(r *http.Response) error {
			confine(r, prefix)
			if id := r.Request.Header.Get(session.Header); id != "" && o.aliases() {
				r.Header.Set(wire.HeaderStageSession, alias(id))
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() != nil {
				panic(http.ErrAbortHandler) // the caller is gone, or the stage is stopping
			}
			wire.Problem{
				Status: http.StatusBadGateway, Code: wire.CodeUpstreamUnavailable, Detail: "the lane's smaran does not answer: " + err.Error(),
			}.Write(w)
		},
	}
}

// confine keeps cookies to their lane: several have one of the same name, and the browser knows one origin.
func confine(r *http.Response, prefix string) {
	lines := r.Header.Values("Set-Cookie")
	if len(lines) == 0 {
		return
	}
	r.Header.Del("Set-Cookie")
	for _, line := range lines {
		cookie, err := http.ParseSetCookie(line)
		if err != nil {
			continue // no browser would take it either
		}
		cookie.Path = prefix + "/" + strings.TrimPrefix(cookie.Path, "/")
		r.Header.Add("Set-Cookie", cookie.String())
	}
}
