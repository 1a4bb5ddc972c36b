package tunnel_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/smaran-v2/smaran/loadtest/internal/conduct/tunnel"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ends are a tunnel: the server's result comes when it has returned.
type ends struct {
	client *tunnel.Client
	server chan error
	stop   context.CancelCauseFunc
	// raw is the server's end of the connection.
	raw net.Conn
}

// newEnds dials over TCP and serves at the end that dialled.
func newEnds(t *testing.T, h http.Handler) *ends {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	dialled, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	accepted, err := l.Accept()
	require.NoError(t, err)
	ctx, stop := context.WithCancelCause(t.Context())
	client, err := tunnel.NewClient(t.Context(), accepted)
	require.NoError(t, err)
	e := &ends{client: client, server: make(chan error, 1), stop: stop, raw: dialled}
	go func() { e.server <- tunnel.Serve(ctx, dialled, h) }()
	t.Cleanup(func() {
		stop(nil)
		_ = e.client.Close()
	})
	return e
}

// within fails the test where nothing comes in time.
func within[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(20 * time.Second):
		require.Fail(t, "it hangs")
		panic("unreachable")
	}
}

func TestTheDialledEndCalls(t *testing.T) {
	e := newEnds(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s", r.Proto, r.URL.Path)
	}))
	var calls sync.WaitGroup
	for i := range 20 { // at once, over the one connection
		calls.Go(func() {
			res, err := e.client.Get(fmt.Sprintf("http://conductor/%d", i))
			if !errors.Is(err, nil) {
				t.Error(err)
				return
			}
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			if err != nil || string(body) != fmt.Sprintf("HTTP/2.0 /%d", i) {
				t.Errorf("%q, %v", body, err)
			}
		})
	}
	calls.Wait()
}

func TestBothWaysAtOnce(t *testing.T) {
	e := newEnds(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		flush := http.NewResponseController(w)
		_ = flush.Flush()
		buf := make([]byte, 1)
		for {
			if _, err := r.Body.Read(buf); err != nil {
				return
			}
			_, _ = w.Write(bytes.ToUpper(buf))
			_ = flush.Flush()
		}
	}))
	reader, writer := io.Pipe()
	res, err := e.client.Post("http://conductor/", "text/plain", reader)
	require.NoError(t, err)
	defer res.Body.Close()
	answer := make([]byte, 1)
	for _, letter := range []string{"a", "b"} { // each is answered before the next is sent
		_, err = writer.Write([]byte(letter))
		require.NoError(t, err)
		_, err = io.ReadFull(res.Body, answer)
		require.NoError(t, err)
		require.Equal(t, string(bytes.ToUpper([]byte(letter))), string(answer))
	}
	require.NoError(t, writer.Close())
}

func TestABrokenConnectionEndsBothSides(t *testing.T) {
	entered := make(chan struct{})
	handlerOver := make(chan struct{})
	e := newEnds(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
		close(handlerOver)
	}))
	failed := make(chan error, 1)
	go func() {
		res, err := e.client.Get("http://conductor/")
		if err == nil {
			err = res.Body.Close()
		}
		failed <- err
	}()
	within(t, entered)
	require.NoError(t, e.raw.Close())
	require.Error(t, within(t, failed))
	within(t, e.client.Closed())
	within(t, e.server)
	select {
	case <-handlerOver:
	default:
		require.Fail(t, "a handler outlived Serve")
	}
	_, err := e.client.Get("http://conductor/")
	require.ErrorIs(t, err, tunnel.ErrClosed, "it does not dial anew")
}

func TestServingEndsAfterItsHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dialled, accepted := net.Pipe()
		entered, release := make(chan struct{}), make(chan struct{})
		served := make(chan error, 1)
		go func() {
			served <- tunnel.Serve(t.Context(), dialled, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
				close(entered)
				<-release
			}))
		}()
		client, err := tunnel.NewClient(t.Context(), accepted)
		require.NoError(t, err)
		go client.Get("http://conductor/") //nolint:errcheck // it fails with the connection
		<-entered
		require.NoError(t, client.Close())
		synctest.Wait()
		select {
		case <-served:
			require.Fail(t, "a handler outlived Serve")
		default:
		}
		close(release)
		require.NoError(t, <-served)
	})
}

func TestTheEndOfTheContextEndsServing(t *testing.T) {
	over := errors.New("over")
	e := newEnds(t, http.NotFoundHandler())
	res, err := e.client.Get("http://conductor/")
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	e.stop(over)
	require.ErrorIs(t, within(t, e.server), over)
	within(t, e.client.Closed())
}

func TestTheClientsCloseEndsServing(t *testing.T) {
	e := newEnds(t, http.NotFoundHandler())
	res, err := e.client.Get("http://conductor/")
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.NoError(t, e.client.Close())
	require.NoError(t, within(t, e.server))
	within(t, e.client.Closed())
}
