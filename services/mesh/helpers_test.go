package mesh_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/internal/httpserver"
	"github.com/smaran-v2/smaran/services/mesh"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/wire"
)

func TestMain(m *testing.M) {
	serveIfChild()
	goleak.VerifyTestMain(m)
}

// deadline bounds every wait for something that happens at once.
const deadline = 10 * time.Second

// pod starts a server that speaks HTTP/1.1 and h2c, names itself in each response, and ends with the test.
func pod(t testing.TB, name string, handler http.HandlerFunc) endpoints.Endpoint {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(wire.HeaderPod, name)
		handler(w, r)
	}))
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return endpoints.Endpoint{Pod: name, Address: s.Listener.Addr().String(), Health: endpoints.Healthy}
}

// pods are n that answer with nothing but their name.
func pods(t testing.TB, n int) []endpoints.Endpoint {
	t.Helper()
	list := make([]endpoints.Endpoint, n)
	for i := range list {
		list[i] = pod(t, fmt.Sprintf("jarvis-%d", i), func(http.ResponseWriter, *http.Request) {})
	}
	return list
}

// dead is an endpoint whose port nobody listens on.
func dead(t testing.TB, name string) endpoints.Endpoint {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return endpoints.Endpoint{Pod: name, Address: l.Addr().String(), Health: endpoints.Healthy}
}

// with is a copy of e in another state of health.
func with(e endpoints.Endpoint, h endpoints.Health) endpoints.Endpoint {
	e.Health = h
	return e
}

// file is an endpoints file.
type file struct {
	path    string
	version int
}

func newFile(t testing.TB, list ...endpoints.Endpoint) *file {
	t.Helper()
	f := &file{path: filepath.Join(t.TempDir(), "eds.json")}
	f.set(t, list...)
	return f
}

func (f *file) set(t testing.TB, list ...endpoints.Endpoint) {
	t.Helper()
	f.version++
	require.NoError(t, endpoints.WriteFile(f.path, endpoints.Set{Version: fmt.Sprint(f.version), Endpoints: list}))
}

// options are the defaults for f, changed by change.
func options(t testing.TB, f *file, policy mesh.Policy, change ...func(*mesh.Options)) mesh.Options {
	t.Helper()
	o, err := mesh.Defaults(f.path, policy)
	require.NoError(t, err)
	o.Seed = 1
	for _, c := range change {
		c(&o)
	}
	return o
}

// server is a mesh that serves until the test ends.
type server struct {
	url, addr string
	header    string // that is hashed
	registry  *prometheus.Registry
}

func serve(t testing.TB, o mesh.Options) *server {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	log := slog.New(slog.DiscardHandler)
	s := &server{registry: prometheus.NewRegistry(), header: o.SessionHeader}
	following, stop := context.WithCancel(context.Background())
	m, err := mesh.New(following, o, mesh.Dependencies{Log: log, Registry: s.registry, Clock: clockwork.NewRealClock()})
	if err != nil {
		cancel()
		stop()
	}
	require.NoError(t, err)
	l, err := httpserver.Listen(ctx, "127.0.0.1:0")
	require.NoError(t, err)
	s.addr = l.Addr().String()
	s.url = "http://" + s.addr
	served := make(chan error, 1)
	go func() {
		served <- httpserver.Serve(ctx, log, httpserver.Options{Name: "mesh", Listener: l, Handler: m})
	}()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-served)
		stop()
		m.Wait()
	})
	return s
}

// counter is the sum of a metric's series whose labels include those given as name, value, ….
func (s *server) counter(t testing.TB, name string, labels ...string) float64 {
	t.Helper()
	families, err := s.registry.Gather()
	require.NoError(t, err)
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			have := map[string]string{}
			for _, l := range m.GetLabel() {
				have[l.GetName()] = l.GetValue()
			}
			matches := true
			for i := 0; i < len(labels); i += 2 {
				matches = matches && have[labels[i]] == labels[i+1]
			}
			if matches {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// reloaded waits until the mesh has taken n versions of its file.
func (s *server) reloaded(t testing.TB, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return s.counter(t, "mesh_reloads_total", "result", "taken") >= float64(n) },
		deadline, time.Millisecond)
}

// client makes requests over its own connections.
func client(t testing.TB, h2c bool) *http.Client {
	t.Helper()
	var p http.Protocols
	p.SetHTTP1(!h2c)
	p.SetUnencryptedHTTP2(h2c)
	tr := &http.Transport{Protocols: &p, MaxIdleConnsPerHost: 64, DisableCompression: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: deadline}
}

// get asks url for "/", with header fields as name, value, …; its body is read.
func get(t testing.TB, c *http.Client, url string, header ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	res, err := c.Do(req)
	require.NoError(t, err)
	body := readAll(t, res)
	res.Body = body
	return res
}

// podOf is who answered a request of a session; "" is a request without one.
func podOf(t testing.TB, c *http.Client, url, id string) string {
	t.Helper()
	var header []string
	if id != "" {
		header = []string{session.Header, id}
	}
	res := get(t, c, url, header...)
	require.Equal(t, http.StatusOK, res.StatusCode)
	return res.Header.Get(wire.HeaderPod)
}

// readAll replaces a body by what was read of it.
func readAll(t testing.TB, res *http.Response) io.ReadCloser {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	return io.NopCloser(bytes.NewReader(b))
}

// bodyOf is the body of a response that get returned.
func bodyOf(t testing.TB, res *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return string(b)
}
