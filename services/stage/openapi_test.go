package stage_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/go-chi/chi/v5"
	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/stage"
	"github.com/smaran-v2/smaran/services/stage/director"
	"github.com/smaran-v2/smaran/services/stage/recording"
	"github.com/smaran-v2/smaran/services/stage/scene"
	"github.com/smaran-v2/smaran/services/stage/venue"
)

// described is the file as it is served.
func described(t *testing.T) (*openapi3.T, routers.Router) {
	t.Helper()
	res := httptest.NewRecorder()
	handler(t, stage.Options{}).ServeHTTP(res, httptest.NewRequest(http.MethodGet, "/api/v1/openapi.yaml", nil))
	require.Equal(t, http.StatusOK, res.Code)
	doc, err := openapi3.NewLoader().LoadFromData(res.Body.Bytes())
	require.NoError(t, err)
	require.NoError(t, doc.Validate(t.Context()))
	router, err := gorillamux.NewRouter(doc)
	require.NoError(t, err)
	return doc, router
}

// handler of a stage whose page has one file besides, and whose lane a has no smaran that answers.
func handler(t *testing.T, o stage.Options) http.Handler {
	t.Helper()
	if o.Scene == nil {
		o.Scene = scene.New(clockwork.NewFakeClock())
	}
	if o.Page == nil {
		o.Page = fstest.MapFS{"index.html": {Data: []byte("<!doctype html><title>Stage</title>")}}
	}
	h, err := stage.New(o)
	require.NoError(t, err)
	return h
}

func player(t *testing.T, s *scene.Scene) *recording.Player {
	t.Helper()
	r, err := recording.Read(strings.NewReader(
		`{"schema":"` + recording.Schema + `","recorded":"2026-11-28T15:00:00Z","machine":"m","command":"c","versions":{}}` + "\n" +
			`{"whole":true}` + "\n" + `{"atMs":20000}` + "\n"))
	require.NoError(t, err)
	p, err := recording.NewPlayer(recording.Options{Recording: r, Scene: s, Clock: clockwork.NewFakeClock(), Speed: 1})
	require.NoError(t, err)
	return p
}

// operation is a method and a path as the file has them.
type operation struct{ method, path string }

func operations(doc *openapi3.T) map[operation]*openapi3.Operation {
	out := map[operation]*openapi3.Operation{}
	for path, item := range doc.Paths.Map() {
		for method, o := range item.Operations() {
			out[operation{method, path}] = o
		}
	}
	return out
}

func TestTheFileHasEveryRouteAndNoOther(t *testing.T) {
	doc, _ := described(t)
	served := map[operation]bool{}
	require.NoError(t, chi.Walk(handler(t, stage.Options{}).(chi.Routes), func(method, path string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		switch {
		case strings.HasPrefix(path, "/assets/"):
			path = strings.Replace(path, "*", "{file}", 1)
		case strings.HasPrefix(path, "/smaran/"):
			path = strings.Replace(path, "*", "{path}", 1)
		}
		served[operation{method, path}] = true
		return nil
	}))
	for o := range operations(doc) {
		require.True(t, served[o], "%s %s is described, and not served", o.method, o.path)
		delete(served, o)
	}
	require.Empty(t, served, "served, and not described")
}

// example is a request as the file shows it.
func example(t *testing.T, o operation, described *openapi3.Operation) *http.Request {
	t.Helper()
	path := strings.NewReplacer("{file}", "index.html", "{lane}", "a", "{path}", "inference").Replace(o.path)
	var body bytes.Buffer
	if described.RequestBody != nil {
		shown := described.RequestBody.Value.Content.Get("application/json").Example
		require.NotNil(t, shown, "%s has no example", o.path)
		fmt.Fprint(&body, asJSON(t, shown))
	}
	r := httptest.NewRequest(o.method, "http://127.0.0.1"+path, &body)
	if described.RequestBody != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

func TestEveryStatusOfTheFileIsReachableAndItsExamplesAreTaken(t *testing.T) {
	doc, router := described(t)
	seen := map[operation]map[string]bool{}

	// answer has the example answered, after change, and holds the answer to what the file says of that status.
	answer := func(o operation, h http.Handler, want int, change func(*http.Request)) {
		t.Helper()
		r := example(t, o, operations(doc)[o])
		if change != nil {
			change(r)
		}
		ctx, cancel := context.WithCancel(r.Context())
		res := &ending{ResponseRecorder: httptest.NewRecorder(), end: cancel}
		h.ServeHTTP(res, r.WithContext(ctx))
		cancel()
		require.Equal(t, want, res.Code, "%s %s: %s", o.method, o.path, res.Body)
		if content := operations(doc)[o].Responses.Status(want); content != nil && len(content.Value.Content) > 0 {
			kind, _, _ := strings.Cut(res.Header().Get("Content-Type"), ";")
			media := content.Value.Content.Get(kind)
			require.NotNil(t, media, "%s %s %d is %s", o.method, o.path, want, kind)
			if strings.HasSuffix(kind, "json") {
				require.NoError(t, media.Schema.Value.VisitJSON(parsed(t, res.Body.Bytes()), openapi3.EnableJSONSchema2020()), res.Body.String())
			}
		}
		if seen[o] == nil {
			seen[o] = map[string]bool{}
		}
		seen[o][fmt.Sprint(want)] = true
	}
	// taken is whether the file's own schema takes what its example says.
	taken := func(o operation) {
		t.Helper()
		r := example(t, o, operations(doc)[o])
		route, params, err := router.FindRoute(r)
		require.NoError(t, err)
		require.NoError(t, openapi3filter.ValidateRequest(t.Context(), &openapi3filter.RequestValidationInput{
			Request: r, PathParams: params, Route: route,
			Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc}}), "%s %s", o.method, o.path)
	}
	foreign := func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }
	refused := func(h func() http.Handler, o operation) {
		answer(o, h(), http.StatusForbidden, foreign)
		answer(o, h(), http.StatusForbidden, func(r *http.Request) { r.Host = "stage.example" })
		answer(o, h(), http.StatusBadRequest, func(r *http.Request) { r.Body = body(`{"nonsense":1}`) })
		answer(o, h(), http.StatusBadRequest, func(r *http.Request) { r.Body = body(``) })
		answer(o, h(), http.StatusRequestEntityTooLarge, func(r *http.Request) { r.Body = body(strings.Repeat(" ", 4097)) })
		answer(o, h(), http.StatusUnsupportedMediaType, func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") })
	}

	for o, d := range operations(doc) {
		taken(o)
		steered := func(err error) http.Handler { return handler(t, stage.Options{Doer: &doer{err: err}}) }
		switch {
		case slices.Contains(d.Tags, "orders"):
			answer(o, steered(nil), http.StatusAccepted, nil)
			refused(func() http.Handler { return steered(nil) }, o)
			for err, want := range map[error]int{
				director.ErrOrder: http.StatusBadRequest, venue.ErrUnknown: http.StatusNotFound, venue.ErrNotHere: http.StatusConflict,
				director.ErrBusy: http.StatusConflict, errors.New("broken"): http.StatusInternalServerError, director.ErrClosed: http.StatusServiceUnavailable,
			} {
				answer(o, steered(fmt.Errorf("lane a: %w", err)), want, nil)
			}
			answer(o, handler(t, stage.Options{}), http.StatusConflict, nil)
			answer(o, handler(t, stage.Options{Doer: &doer{}, Token: "secret"}), http.StatusUnauthorized, nil)
		case slices.Contains(d.Tags, "replay"):
			played := func(token string) http.Handler {
				s := scene.New(clockwork.NewFakeClock())
				return handler(t, stage.Options{Scene: s, Player: player(t, s), Token: token})
			}
			answer(o, played(""), http.StatusNoContent, nil)
			refused(func() http.Handler { return played("") }, o)
			answer(o, played(""), http.StatusBadRequest, func(r *http.Request) { r.Body = body(`{"speed":-1}`) })
			answer(o, played("secret"), http.StatusUnauthorized, nil)
			answer(o, steered(nil), http.StatusConflict, nil)
		case slices.Contains(d.Tags, "smaran"):
			lanes := stage.Options{Doer: &doer{}, Lanes: []venue.Lane{{ID: "a", Smaran: nobody(t)}}}
			answer(o, handler(t, lanes), http.StatusBadGateway, nil)
			answer(o, handler(t, stage.Options{}), http.StatusNotFound, nil)
			answer(o, handler(t, lanes), http.StatusForbidden, func(r *http.Request) { r.Host = "stage.example" })
			lanes.Lanes[0].Smaran = somebody(t)
			answer(o, handler(t, lanes), http.StatusTeapot, nil)
			delete(seen[o], fmt.Sprint(http.StatusTeapot))
			seen[o]["default"] = true
		default:
			answer(o, steered(nil), http.StatusOK, nil)
			if d.Responses.Status(http.StatusForbidden) != nil {
				answer(o, steered(nil), http.StatusForbidden, func(r *http.Request) { r.Host = "stage.example" })
			}
			if d.Responses.Status(http.StatusNotFound) != nil {
				answer(o, steered(nil), http.StatusNotFound, func(r *http.Request) { r.URL.Path += ".gone" })
			}
			if d.Responses.Status(http.StatusNotModified) != nil {
				res := httptest.NewRecorder()
				steered(nil).ServeHTTP(res, example(t, o, d))
				answer(o, steered(nil), http.StatusNotModified, func(r *http.Request) { r.Header.Set("If-None-Match", res.Header().Get("ETag")) })
			}
		}
		require.Equal(t, slices.Sorted(maps.Keys(d.Responses.Map())), slices.Sorted(maps.Keys(seen[o])), "%s %s", o.method, o.path)
	}
}
