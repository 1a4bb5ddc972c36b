package stage_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/stage"
	"github.com/smaran-v2/smaran/services/stage/scene"
	"github.com/smaran-v2/smaran/services/stage/venue"
	"github.com/smaran-v2/smaran/services/wire"
)

func TestWithoutATokenOnlyThisMachineIsAnswered(t *testing.T) {
	url, _ := serve(t, handler(t, stage.Options{Doer: &doer{}}))
	for host, want := range map[string]int{
		"127.0.0.1:7080": 200, "127.0.0.1": 200, "localhost:7080": 200, "[::1]:7080": 200, "[::1]": 200, "127.8.9.1": 200,
		"stage.example": 403, "localhost.example": 403, "10.0.0.1:7080": 403, "127.0.0.1.example": 403,
	} {
		for _, path := range []string{"/", "/api/v1/state"} {
			res := ask(t, http.MethodGet, url+path, "", "Host", host)
			require.Equal(t, want, res.code, host+path)
			if want != 200 {
				require.Equal(t, wire.CodeHostRefused, problem(t, res).Code)
			}
		}
	}
}

func TestWhatCantBeSteeredIsForEveryHost(t *testing.T) {
	url, _ := serve(t, handler(t, stage.Options{}))
	require.Equal(t, 200, ask(t, http.MethodGet, url+"/", "", "Host", "stage.example").code)
	s := scene.New(clockwork.NewFakeClock())
	url, _ = serve(t, handler(t, stage.Options{Scene: s, Player: player(t, s)}))
	require.Equal(t, 403, ask(t, http.MethodGet, url+"/", "", "Host", "stage.example").code, "a recording can be")
}

func TestAnotherOriginsPageIsRefused(t *testing.T) {
	d := &doer{}
	url, _ := serve(t, handler(t, stage.Options{Doer: d, Lanes: []venue.Lane{{ID: "a", Smaran: somebody(t)}}}))
	for name, header := range map[string][]string{
		"another site":           {"Sec-Fetch-Site", "cross-site"},
		"a port of this machine": {"Sec-Fetch-Site", "same-site"},
		"an older browser":       {"Origin", "http://evil.example"},
		"a file":                 {"Origin", "null"},
	} {
		for _, path := range []string{"/api/v1/reset", "/smaran/a/v1/calls"} {
			res := ask(t, http.MethodPost, url+path, `{}`, append([]string{"Content-Type", asJSONBody}, header...)...)
			require.Equal(t, http.StatusForbidden, res.code, name+path)
			require.Equal(t, wire.CodeCrossOrigin, problem(t, res).Code)
		}
	}
	require.Empty(t, d.orders)
	for name, header := range map[string][]string{
		"the page itself":                   {"Sec-Fetch-Site", "same-origin", "Origin", url},
		"the page itself, an older browser": {"Origin", url},
		"no browser":                        {},
	} {
		res := ask(t, http.MethodPost, url+"/api/v1/reset", `{}`, append([]string{"Content-Type", asJSONBody}, header...)...)
		require.Equal(t, http.StatusAccepted, res.code, name)
	}
}

// What a form, or a page that is not asked for leave first, can send is no order.
func TestOnlyJSONIsAnOrder(t *testing.T) {
	d := &doer{}
	url, _ := serve(t, handler(t, stage.Options{Doer: d}))
	for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/json2", ";"} {
		res := ask(t, http.MethodPost, url+"/api/v1/reset", `{}`, "Content-Type", kind)
		require.Equal(t, http.StatusUnsupportedMediaType, res.code, kind)
		require.Equal(t, wire.CodeUnsupportedMedia, problem(t, res).Code)
	}
	require.Empty(t, d.orders)
}

func TestATokenIsAskedOfOrdersAlone(t *testing.T) {
	d := &doer{}
	const token = "open sesame"
	url, _ := serve(t, handler(t, stage.Options{Doer: d, Token: token, Lanes: []venue.Lane{{ID: "a", Smaran: somebody(t)}}}))
	for name, given := range map[string][]string{
		"none": nil, "another": {"Authorization", "Bearer open"}, "empty": {"Authorization", "Bearer "}, "another scheme": {"Authorization", "Basic " + token},
		"longer": {"Authorization", "Bearer " + token + "s"}, "no scheme": {"Authorization", token},
	} {
		res := ask(t, http.MethodPost, url+"/api/v1/reset", `{}`, append([]string{"Content-Type", asJSONBody, "Host", "stage.example"}, given...)...)
		require.Equal(t, http.StatusUnauthorized, res.code, name)
		require.Equal(t, "Bearer", res.header.Get("WWW-Authenticate"))
		require.Equal(t, wire.CodeUnauthorized, problem(t, res).Code)
		require.NotContains(t, res.body, token)
	}
	require.Empty(t, d.orders)
	for _, scheme := range []string{"Bearer ", "bearer "} {
		res := ask(t, http.MethodPost, url+"/api/v1/reset", `{}`, "Content-Type", asJSONBody, "Host", "stage.example", "Authorization", scheme+token)
		require.Equal(t, http.StatusAccepted, res.code)
	}
	for _, path := range []string{"/", "/api/v1/state", "/api/v1/openapi.yaml"} {
		require.Equal(t, 200, ask(t, http.MethodGet, url+path, "", "Host", "stage.example").code, path)
	}
	require.Equal(t, http.StatusTeapot, ask(t, http.MethodPost, url+"/smaran/a/v1/calls", "").code, "a call is no order")
}

func TestThePageMayLoadNothingButItsOwn(t *testing.T) {
	url, _ := serve(t, handler(t, stage.Options{Lanes: []venue.Lane{{ID: "a", Smaran: somebody(t)}}}))
	for _, path := range []string{"/", "/assets/index.html", "/api/v1/state", "/gone", "/smaran/a/inference"} {
		h := ask(t, http.MethodGet, url+path, "").header
		csp := h.Get("Content-Security-Policy")
		require.Contains(t, csp, "default-src 'self'", path)
		require.NotContains(t, csp, "unsafe", path)
		require.Contains(t, csp, "frame-ancestors 'none'", path)
		require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"), path)
		require.True(t, strings.HasPrefix(h.Get("Permissions-Policy"), "microphone=(self)"), path)
	}
}
