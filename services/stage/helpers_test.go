package stage_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/encoding/protojson"

	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/services/internal/httpserver"
	"github.com/smaran-v2/smaran/services/stage/director"
	"github.com/smaran-v2/smaran/services/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const hang = 10 * time.Second

// serve serves h as the stage does, until the test ends or stop is called, and returns its URL.
func serve(t *testing.T, h http.Handler) (url string, stop func()) {
	t.Helper()
	l, err := httpserver.Listen(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() {
		served <- httpserver.Serve(ctx, slog.New(slog.DiscardHandler), httpserver.Options{
			Name: "stage", Listener: l, Handler: h, ShutdownGrace: hang})
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-served)
	})
	t.Cleanup(stop)
	return "http://" + l.Addr().String(), stop
}

func client(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: hang}
}

// reply is what came back, read to its end.
type reply struct {
	code   int
	header http.Header
	body   string
}

func ask(t *testing.T, method, url, body string, header ...string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
	}
	res, err := client(t).Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	all, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return reply{res.StatusCode, res.Header, string(all)}
}

func problem(t *testing.T, r reply) (p wire.Problem) {
	t.Helper()
	require.Equal(t, wire.ContentTypeProblem, r.header.Get("Content-Type"), r.body)
	require.NoError(t, json.Unmarshal([]byte(r.body), &p))
	require.Equal(t, r.code, p.Status)
	return p
}

// follower reads one stream.
type follower struct {
	t     *testing.T
	lines *bufio.Scanner
	close func()
}

func lines(from io.Reader) *bufio.Scanner {
	s := bufio.NewScanner(from)
	s.Buffer(nil, 4<<20)
	return s
}

func follow(t *testing.T, url string, header ...string) *follower {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	require.NoError(t, err)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := client(t).Do(req)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Equal(t, "text/event-stream", res.Header.Get("Content-Type"))
	f := &follower{t: t, lines: lines(res.Body), close: sync.OnceFunc(func() { cancel(); _ = res.Body.Close() })}
	t.Cleanup(f.close)
	return f
}

// event is one server-sent event; a comment has comment alone.
type event struct {
	id, name string
	comment  bool
	frame    *stagev1.Frame
}

// next is the next event or comment; ok is false at the end of the stream.
func (f *follower) next() (e event, ok bool) {
	f.t.Helper()
	for f.lines.Scan() {
		line := f.lines.Text()
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "":
			if e != (event{}) {
				return e, true
			}
		case field == "":
			e.comment = true
		case field == "id":
			e.id = value
		case field == "event":
			e.name = value
		case field == "data":
			e.frame = new(stagev1.Frame)
			require.NoError(f.t, protojson.Unmarshal([]byte(value), e.frame))
		}
	}
	return e, false
}

func (f *follower) frame() event {
	f.t.Helper()
	for {
		e, ok := f.next()
		require.True(f.t, ok, "the stream ended")
		if e.frame != nil {
			require.Equal(f.t, "frame", e.name)
			return e
		}
	}
}

// doer remembers orders, and answers as it is told.
type doer struct {
	mu     sync.Mutex
	orders []director.Order
	err    error
}

func (d *doer) Do(_ context.Context, o director.Order) (uint32, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return 0, d.err
	}
	d.orders = append(d.orders, o)
	return uint32(len(d.orders)), nil
}

func body(text string) io.ReadCloser { return io.NopCloser(strings.NewReader(text)) }

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return string(b)
}

func parsed(t *testing.T, b []byte) (v any) {
	t.Helper()
	require.NoError(t, json.Unmarshal(b, &v))
	return v
}

// ending is a response whose reader leaves once it has something.
type ending struct {
	*httptest.ResponseRecorder
	end func()
}

func (e *ending) Write(b []byte) (int, error) {
	defer e.end()
	return e.ResponseRecorder.Write(b)
}

// somebody is a smaran that answers 418 to everything.
func somebody(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	t.Cleanup(s.Close)
	return s.URL
}

// nobody is where no smaran is.
func nobody(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	return s.URL
}
