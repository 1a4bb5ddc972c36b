package probe_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/smaran-v2/smaran/loadtest/internal/probe"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/wire"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// serve closes its idle connections before goleak looks.
func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func TestBatchTakesSessionsInTurn(t *testing.T) {
	url := serve(t, probe.Target("jarvis-1"))
	answers, err := probe.Run(t.Context(), probe.Batch{URL: url, Sessions: []string{"a", "b"}, Requests: 5, Keep: []string{wire.HeaderTurn}})
	require.NoError(t, err)
	require.Len(t, answers, 5)
	turns := map[string]string{}
	for i, a := range answers {
		require.True(t, a.OK(), a.Error)
		require.Equal(t, "jarvis-1", a.Pod)
		require.Positive(t, a.Took)
		require.Equal(t, []string{"a", "b"}[i%2], a.Session)
		turns[a.Session] = a.Header[wire.HeaderTurn]
	}
	require.Equal(t, map[string]string{"a": "3", "b": "2"}, turns)
}

// Else a session's answers would come in another order than its questions.
func TestASessionAsksOneThingAtATime(t *testing.T) {
	var mu sync.Mutex
	busy, overlaps := map[string]int{}, 0
	url := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(session.Header)
		count := func(by int) {
			mu.Lock()
			defer mu.Unlock()
			busy[id] += by
			if busy[id] > 1 {
				overlaps++
			}
		}
		count(1)
		defer count(-1)
		if id == "slow" {
			select {
			case <-time.After(20 * time.Millisecond):
			case <-r.Context().Done():
			}
		}
	}))
	b := probe.Batch{URL: url, Sessions: []string{"slow", "a", "b"}, Requests: 200, Concurrency: 3}
	answers, err := probe.Run(t.Context(), b)
	require.NoError(t, err)
	require.Len(t, answers, 200)
	require.Zero(t, overlaps)

	b.Sessions = b.Sessions[:1]
	b.Requests = 6
	_, err = probe.Run(t.Context(), b)
	require.NoError(t, err)
	require.Positive(t, overlaps, "fewer sessions than workers")
}

func TestAStreamThatThePodEndsIsCut(t *testing.T) {
	ctx, end := context.WithCancel(t.Context())
	s := httptest.NewUnstartedServer(probe.Target("jarvis-1"))
	s.Config.BaseContext = func(net.Listener) context.Context { return ctx }
	s.Start()
	t.Cleanup(s.Close)
	t.Cleanup(end)
	begun := make(chan struct{})
	go func() {
		defer close(begun)
		res, err := http.Get(s.URL + probe.PathHold + "?for=1h")
		if err == nil {
			_ = res.Body.Close()
		}
		end()
	}()
	answers, err := probe.Run(t.Context(), probe.Batch{URL: s.URL + probe.PathHold + "?for=1h", Requests: 1})
	require.NoError(t, err)
	require.False(t, answers[0].OK())
	<-begun
	http.DefaultClient.CloseIdleConnections()
}

func TestWithoutSessionsThereIsNoHeader(t *testing.T) {
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, sent := r.Header[session.Header]; sent || r.Header.Get(session.Header) != "" {
			w.WriteHeader(http.StatusTeapot)
		}
		http.Error(w, "no session", http.StatusBadRequest)
	}))
	answers, err := probe.Run(t.Context(), probe.Batch{URL: url, Requests: 1})
	require.NoError(t, err)
	require.Equal(t, http.StatusBadRequest, answers[0].Status)
	require.Equal(t, "no session\n", answers[0].Body)
	require.False(t, answers[0].OK())
}

func TestEachSessionKeepsItsOwnCookies(t *testing.T) {
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := r.Cookie("pod")
		if err != nil {
			http.SetCookie(w, &http.Cookie{Name: "pod", Value: r.Header.Get(session.Header)})
			return
		}
		w.Header().Set(wire.HeaderPod, c.Value)
	}))
	b := probe.Batch{URL: url, Sessions: []string{"a", "b"}, Requests: 4, Cookies: true}
	answers, err := probe.Run(t.Context(), b)
	require.NoError(t, err)
	require.Equal(t, []string{"", "", "a", "b"}, pods(answers))
	b.Cookies = false
	answers, err = probe.Run(t.Context(), b)
	require.NoError(t, err)
	require.Equal(t, []string{"", "", "", ""}, pods(answers))
}

func TestEachSessionReturnsWhatItWasGiven(t *testing.T) {
	const token = "X-Token"
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(wire.HeaderPod, r.Header.Get(token))
		w.Header().Set(token, r.Header.Get(token)+r.Header.Get(session.Header))
	}))
	b := probe.Batch{URL: url, Sessions: []string{"a", "b"}, Requests: 6, Return: token}
	answers, err := probe.Run(t.Context(), b)
	require.NoError(t, err)
	require.Equal(t, []string{"", "", "a", "b", "aa", "bb"}, pods(answers))
	b.Return = ""
	answers, err = probe.Run(t.Context(), b)
	require.NoError(t, err)
	require.Equal(t, []string{"", "", "", "", "", ""}, pods(answers))
}

func TestAHopForwardsTheSessionOrLosesIt(t *testing.T) {
	target := serve(t, probe.Target("jarvis-1"))
	for drops, want := range map[bool]string{false: "2", true: ""} {
		hop, err := probe.Hop(target, drops)
		require.NoError(t, err)
		url := serve(t, hop)
		answers, err := probe.Run(t.Context(), probe.Batch{URL: url, Sessions: []string{"a"}, Requests: 2, Keep: []string{wire.HeaderTurn}})
		require.NoError(t, err)
		require.Equal(t, []string{"jarvis-1", "jarvis-1"}, pods(answers))
		require.Equal(t, want, answers[1].Header[wire.HeaderTurn], "drops: %t", drops)

		answers, err = probe.Run(t.Context(), probe.Batch{URL: url + wire.PathReady, Requests: 1})
		require.NoError(t, err)
		require.True(t, answers[0].OK())
		require.Empty(t, answers[0].Pod, "its own answer")
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	for _, bad := range []string{"jarvis-service", "https://jarvis-service", "http://", "http://jarvis-service/path"} {
		_, err := probe.Hop(bad, false)
		require.ErrorIs(t, err, probe.ErrBatch, bad)
	}
	require.ErrorIs(t, (&probe.Cmd{DropSession: true}).Run(t.Context(), io.Discard), probe.ErrBatch)
}

func pods(answers []probe.Answer) (out []string) {
	for _, a := range answers {
		out = append(out, a.Pod)
	}
	return out
}

func TestWebSocketEchoes(t *testing.T) {
	url := strings.Replace(serve(t, probe.Target("jarvis-1")), "http:", "ws:", 1)
	answers, err := probe.Run(t.Context(), probe.Batch{URL: url + probe.PathWebSocket, Requests: 2, Concurrency: 2})
	require.NoError(t, err)
	require.Len(t, answers, 2)
	for _, a := range answers {
		require.True(t, a.OK(), a.Error)
		require.Equal(t, "jarvis-1", a.Pod)
	}
	answers, err = probe.Run(t.Context(), probe.Batch{URL: url + "/no-socket", Requests: 1})
	require.NoError(t, err)
	require.NotEmpty(t, answers[0].Error)
}

func TestAStreamThatIsCutIsAnError(t *testing.T) {
	url := serve(t, probe.Target("jarvis-1"))
	answers, err := probe.Run(t.Context(), probe.Batch{URL: url + probe.PathHold + "?for=1ms", Requests: 1})
	require.NoError(t, err)
	require.True(t, answers[0].OK(), answers[0].Error)

	cut := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("\n"))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	answers, err = probe.Run(t.Context(), probe.Batch{URL: cut, Requests: 1})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, answers[0].Status)
	require.False(t, answers[0].OK())
}

func TestTimeBoundsABatchAndARequest(t *testing.T) {
	url := serve(t, probe.Target("jarvis-1"))
	begin := time.Now()
	answers, err := probe.Run(t.Context(), probe.Batch{URL: url, Lasting: 100 * time.Millisecond, Every: 10 * time.Millisecond})
	require.NoError(t, err)
	require.NotEmpty(t, answers)
	require.LessOrEqual(t, len(answers), 11, "paced")
	require.Less(t, time.Since(begin), 10*time.Second)

	answers, err = probe.Run(t.Context(), probe.Batch{URL: url + probe.PathHold + "?for=1h", Requests: 1, Timeout: 20 * time.Millisecond})
	require.NoError(t, err)
	require.NotEmpty(t, answers[0].Error)
}

func TestControlTakesBatchesAndRefusesOthers(t *testing.T) {
	control, target := serve(t, probe.Control()), serve(t, probe.Target("jarvis-1"))
	for body, want := range map[string]int{
		`{"url":"` + target + `","requests":2}`:                     http.StatusOK,
		`{"url":"` + target + `"}`:                                  http.StatusBadRequest,
		`{"url":"` + target + `","requests":2,"rate":3}`:            http.StatusBadRequest,
		`{"url":"ftp://pod","requests":2}`:                          http.StatusBadRequest,
		`{"url":"` + target + `","requests":2,"concurrency":99999}`: http.StatusBadRequest,
		`{"url":"` + target + `","requests":-1,"lasting":1}`:        http.StatusBadRequest,
		`requests`: http.StatusBadRequest,
	} {
		res, err := http.Post(control+probe.PathBatches, "application/json", bytes.NewBufferString(body))
		require.NoError(t, err)
		require.Equal(t, want, res.StatusCode, body)
		if want == http.StatusOK {
			var answers []probe.Answer
			require.NoError(t, json.NewDecoder(res.Body).Decode(&answers))
			require.Len(t, answers, 2)
		}
		require.NoError(t, res.Body.Close())
	}
	http.DefaultClient.CloseIdleConnections()
}
