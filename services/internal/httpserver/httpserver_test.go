package httpserver_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/smaran-v2/smaran/services/internal/httpserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start serves handler and returns its URL, a function that asks it to stop, and where Serve's result arrives.
func start(t *testing.T, grace time.Duration, handler http.HandlerFunc) (url string, stop func(), result <-chan error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l, err := httpserver.Listen(ctx, "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() {
		done <- httpserver.Serve(ctx, slog.New(slog.DiscardHandler),
			httpserver.Options{Name: "test", Listener: l, Handler: handler, ShutdownGrace: grace})
	}()
	return "http://" + l.Addr().String(), cancel, done
}

func client(t *testing.T, h2c bool) *http.Client {
	t.Helper()
	var p http.Protocols
	p.SetHTTP1(!h2c)
	p.SetUnencryptedHTTP2(h2c)
	tr := &http.Transport{Protocols: &p}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 10 * time.Second}
}

func TestServesBothProtocols(t *testing.T) {
	url, stop, result := start(t, time.Second, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) })
	for h2c, want := range map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"} {
		res, err := client(t, h2c).Get(url)
		require.NoError(t, err)
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, want, string(body))
	}
	stop()
	require.NoError(t, <-result)
}

func TestShutdownLetsARequestFinish(t *testing.T) {
	entered, finish := make(chan struct{}), make(chan struct{})
	url, stop, result := start(t, 10*time.Second, func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-httpserver.Stopping(r.Context())
		<-finish
		_, _ = io.WriteString(w, "done")
	})
	answer := make(chan string, 1)
	c := client(t, false)
	go func() {
		res, err := c.Get(url)
		if err != nil {
			answer <- err.Error()
			return
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		answer <- string(body)
	}()
	<-entered
	stop()
	close(finish)
	require.Equal(t, "done", <-answer)
	require.NoError(t, <-result)
}

func TestShutdownCutsWhatOutlastsTheGrace(t *testing.T) {
	entered := make(chan struct{})
	url, stop, result := start(t, 0, func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	})
	failed := make(chan error, 1)
	c := client(t, false)
	go func() {
		res, err := c.Get(url)
		if err == nil {
			_ = res.Body.Close()
		}
		failed <- err
	}()
	<-entered
	stop()
	require.Error(t, <-failed)
	require.NoError(t, <-result)
}

func TestListenNamesATakenAddress(t *testing.T) {
	l, err := httpserver.Listen(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, err = httpserver.Listen(t.Context(), l.Addr().String())
	require.ErrorContains(t, err, l.Addr().String())
}

func TestConnectionsAreToldOf(t *testing.T) {
	for name, h2c := range map[string]bool{"http1": false, "h2c": true} {
		ctx, cancel := context.WithCancel(t.Context())
		l, err := httpserver.Listen(ctx, "127.0.0.1:0")
		require.NoError(t, err)
		states := make(chan http.ConnState, 16)
		done := make(chan error, 1)
		go func() {
			done <- httpserver.Serve(ctx, slog.New(slog.DiscardHandler), httpserver.Options{Name: "test", Listener: l,
				Handler:   http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}),
				ConnState: func(_ net.Conn, s http.ConnState) { states <- s }})
		}()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+l.Addr().String(), nil)
		require.NoError(t, err)
		c := client(t, h2c)
		res, err := c.Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, http.StateNew, <-states, name)
		c.CloseIdleConnections()
		for s := range states {
			if s == http.StateClosed {
				break
			}
			require.NotEqual(t, http.StateHijacked, s, name)
		}
		cancel()
		require.NoError(t, <-done)
	}
}
