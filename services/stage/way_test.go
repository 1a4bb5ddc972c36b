package stage_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/stage"
	"github.com/smaran-v2/smaran/services/stage/venue"
	"github.com/smaran-v2/smaran/services/wire"
)

// through is a stage whose lanes a and b have a smaran that answers by answer.
func through(t *testing.T, answer http.HandlerFunc) (url string, stop func()) {
	t.Helper()
	smaran := httptest.NewServer(answer)
	t.Cleanup(smaran.Close)
	return serve(t, handler(t, stage.Options{Doer: &doer{}, Token: "secret",
		Lanes: []venue.Lane{{ID: "a", Smaran: smaran.URL}, {ID: "b", Smaran: smaran.URL}}}))
}

func TestARequestReachesTheLanesSmaranAsItWasSent(t *testing.T) {
	type got struct {
		method, uri, body string
		header            http.Header
	}
	requests := make(chan got, 1)
	url, _ := through(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		requests <- got{r.Method, r.RequestURI, string(body), r.Header}
		w.Header().Set("Location", wire.PathCall("s"))
		w.Header().Set("ETag", `"1"`)
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, "answer")
	})
	for _, method := range []string{"POST", "PATCH", "DELETE", "GET", "OPTIONS"} {
		res := ask(t, method, url+"/smaran/a/v1/calls/s%20x?last_turn=3&x=%2F", "offer", "Content-Type", wire.ContentTypeSDP, "X-Call-Session-Id", "s",
			"Authorization", "Bearer secret", "Origin", url, "Cookie", "jarvis=1")
		require.Equal(t, http.StatusCreated, res.code)
		require.Equal(t, "answer", res.body)
		require.Equal(t, "/v1/calls/s", res.header.Get("Location"))
		require.Equal(t, `"1"`, res.header.Get("ETag"))
		r := <-requests
		require.Equal(t, method, r.method)
		require.Equal(t, "/v1/calls/s%20x?last_turn=3&x=%2F", r.uri)
		require.Equal(t, "offer", r.body)
		require.Equal(t, "s", r.header.Get("X-Call-Session-Id"))
		require.Equal(t, "jarvis=1", r.header.Get("Cookie"))
		require.Empty(t, r.header.Get("Authorization"), "the stage's token is not smaran's")
		require.Empty(t, r.header.Get("Origin"))
		require.Equal(t, "127.0.0.1", r.header.Get("X-Forwarded-For"))
	}
	require.Equal(t, http.StatusNotFound, ask(t, http.MethodPost, url+"/smaran/c/v1/sessions", "").code)
	for _, path := range []string{"/v1/fleet?sessions=true", "/v1/calls/../fleet", "/v1/calls%2f..%2ffleet", "/smaran.v1.SmaranService/GetFleet", "/inferences"} {
		require.Equal(t, http.StatusNotFound, ask(t, http.MethodGet, url+"/smaran/a"+path, "").code, path)
	}
	require.Equal(t, http.StatusNotFound, ask(t, http.MethodGet, url+"/smaran/a", "").code)
	require.Equal(t, http.StatusMethodNotAllowed, ask(t, http.MethodPut, url+"/smaran/a/v1/calls", "").code)
}

func TestACookieIsItsLanesAlone(t *testing.T) {
	seen := make(chan string, 1)
	url, _ := through(t, func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header.Get("Cookie")
		w.Header().Add("Set-Cookie", `jarvis="Cg0x"; Path=/; HttpOnly`)
		w.Header().Add("Set-Cookie", "other=2; Path=/v1/calls; Max-Age=5")
		w.Header().Add("Set-Cookie", "=broken")
	})
	res := ask(t, http.MethodGet, url+"/smaran/a/inference", "")
	require.Equal(t, []string{`jarvis="Cg0x"; Path=/smaran/a/; HttpOnly`, "other=2; Path=/smaran/a/v1/calls; Max-Age=5"}, res.header.Values("Set-Cookie"))
	<-seen
	ask(t, http.MethodGet, url+"/smaran/b/inference", "", "Cookie", `jarvis="Cg0x"`)
	require.Equal(t, `jarvis="Cg0x"`, <-seen, "as it was set")
}

func TestEventsComeThroughAtOnceAndEndWithTheStage(t *testing.T) {
	next, left := make(chan string), make(chan struct{})
	url, stop := through(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", wire.ContentTypeEventStream)
		_ = http.NewResponseController(w).Flush()
		for {
			select {
			case event := <-next:
				fmt.Fprintf(w, "event: %s\n\n", event)
				_ = http.NewResponseController(w).Flush()
			case <-r.Context().Done():
				close(left)
				return
			}
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/smaran/a/v1/calls/s/events", nil)
	require.NoError(t, err)
	req.Header.Set("Accept", wire.ContentTypeEventStream)
	res, err := client(t).Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	for _, event := range []string{"pod", "migrate"} {
		next <- event
		require.True(t, lines.Scan())
		require.Equal(t, "event: "+event, lines.Text())
		require.True(t, lines.Scan())
	}
	stop()
	require.False(t, lines.Scan())
	<-left
}

func TestASmaranThatDoesNotAnswerIsAProblem(t *testing.T) {
	url, _ := serve(t, handler(t, stage.Options{Lanes: []venue.Lane{{ID: "a", Smaran: nobody(t)}}}))
	res := ask(t, http.MethodGet, url+"/smaran/a/inference", "")
	require.Equal(t, http.StatusBadGateway, res.code)
	p := problem(t, res)
	require.Equal(t, wire.CodeUpstreamUnavailable, p.Code)
	require.True(t, strings.HasPrefix(p.Detail, "the lane's smaran does not answer"))
}
