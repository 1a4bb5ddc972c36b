package stage_test

import (
	"net/http"
	"testing"
	"testing/fstest"

	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/stage"
	"github.com/smaran-v2/smaran/services/stage/scene"
	"github.com/smaran-v2/smaran/services/stage/venue"
	"github.com/smaran-v2/smaran/services/wire"
)

func TestThePageAndItsFiles(t *testing.T) {
	url, _ := serve(t, handler(t, stage.Options{Page: fstest.MapFS{
		"index.html": {Data: []byte("the page")}, "css/main.css": {Data: []byte("a{}")}, "js/call/panel.js": {Data: []byte("export {}")},
	}}))
	for path, want := range map[string]struct{ kind, body string }{
		"/":                        {"text/html; charset=utf-8", "the page"},
		"/assets/css/main.css":     {"text/css; charset=utf-8", "a{}"},
		"/assets/js/call/panel.js": {"text/javascript; charset=utf-8", "export {}"},
	} {
		res := ask(t, http.MethodGet, url+path, "")
		require.Equal(t, 200, res.code, path)
		require.Equal(t, want.kind, res.header.Get("Content-Type"))
		require.Equal(t, want.body, res.body)
		require.Equal(t, "no-cache", res.header.Get("Cache-Control"))
		tag := res.header.Get("ETag")
		require.NotEmpty(t, tag)
		require.Equal(t, http.StatusNotModified, ask(t, http.MethodGet, url+path, "", "If-None-Match", tag).code)
		require.Equal(t, 200, ask(t, http.MethodGet, url+path, "", "If-None-Match", `"another"`).code)
		head := ask(t, http.MethodHead, url+path, "")
		require.Equal(t, 200, head.code)
		require.Empty(t, head.body)
	}
	for _, path := range []string{"/assets/", "/assets/css", "/assets/css/", "/assets/gone.js", "/assets/../handler.go", "/assets/css/../index.html", "/index.html", "/api/v1/gone"} {
		res := ask(t, http.MethodGet, url+path, "")
		require.Equal(t, http.StatusNotFound, res.code, path)
		require.Equal(t, wire.CodeNotFound, problem(t, res).Code)
	}
	res := ask(t, http.MethodDelete, url+"/api/v1/state", "")
	require.Equal(t, http.StatusMethodNotAllowed, res.code)
	require.Equal(t, "GET", res.header.Get("Allow"))
	require.Equal(t, wire.CodeMethodNotAllowed, problem(t, res).Code)
	require.Equal(t, "POST", ask(t, http.MethodGet, url+"/api/v1/scale", "").header.Get("Allow"))
}

func TestAHeadOfTheStreamEnds(t *testing.T) {
	url, _ := serve(t, handler(t, stage.Options{}))
	res := ask(t, http.MethodHead, url+"/api/v1/stream", "")
	require.Equal(t, "text/event-stream", res.header.Get("Content-Type"))
}

func TestThePageThatIsBuiltInIsServed(t *testing.T) {
	h, err := stage.New(stage.Options{Scene: scene.New(clockwork.NewFakeClock())})
	require.NoError(t, err)
	url, _ := serve(t, h)
	require.Contains(t, ask(t, http.MethodGet, url+"/", "").body, "<title>")
}

func TestOptionsThatCantWorkAreRefused(t *testing.T) {
	s := scene.New(clockwork.NewFakeClock())
	for name, o := range map[string]stage.Options{
		"no scene":         {},
		"two to steer":     {Scene: s, Doer: &doer{}, Player: player(t, s)},
		"no page":          {Scene: s, Page: fstest.MapFS{}},
		"no smaran":        {Scene: s, Lanes: []venue.Lane{{ID: "a"}}},
		"a path of smaran": {Scene: s, Lanes: []venue.Lane{{ID: "a", Smaran: "http://127.0.0.1:1/v1"}}},
		"no URL":           {Scene: s, Lanes: []venue.Lane{{ID: "a", Smaran: "127.0.0.1:1"}}},
		"a lane twice":     {Scene: s, Lanes: []venue.Lane{{ID: "a", Smaran: "http://h"}, {ID: "a", Smaran: "http://h"}}},
		"a lane's name":    {Scene: s, Lanes: []venue.Lane{{ID: "a/b", Smaran: "http://h"}}},
	} {
		_, err := stage.New(o)
		require.ErrorIs(t, err, stage.ErrOptions, name)
	}
}
