package mesh_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/internal/httpserver"
	"github.com/smaran-v2/smaran/services/mesh"
	"github.com/smaran-v2/smaran/services/mesh/envoyconfig"
	"github.com/smaran-v2/smaran/services/run"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/testreal"
)

// The test binary is a proxy when it was started with these variables: in a process of its own, what the proxy costs can be
// told from what the load and the pods cost.
const (
	childVariable = "MESH_BENCH_CHILD" // mesh or reverseproxy
	childListen   = "BENCH_LISTEN"
	childFile     = "BENCH_ENDPOINTS"
)

func serveIfChild() {
	listen, path := os.Getenv(childListen), os.Getenv(childFile)
	switch os.Getenv(childVariable) {
	case "mesh":
		run.Main(func(ctx context.Context, _, _ []string, stdout, stderr io.Writer) error {
			return mesh.Run(ctx, []string{"--listen=" + listen, "--admin=127.0.0.1:0", "--endpoints=" + path, "--policy=ring"},
				nil, stdout, stderr)
		})
	case "reverseproxy":
		run.Main(func(ctx context.Context, _, _ []string, _, _ io.Writer) error {
			return reverseProxy(ctx, listen, path)
		})
	}
}

// reverseProxy is what one would write without a mesh: httputil.ReverseProxy with buffers and connections to spare, taking
// turns.
func reverseProxy(ctx context.Context, listen, path string) error {
	set, err := endpoints.ReadFile(path)
	if err != nil {
		return err
	}
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	h1 := &http.Transport{MaxIdleConnsPerHost: 1024, DisableCompression: true}
	h2 := &http.Transport{Protocols: &protocols, DisableCompression: true}
	var turn atomic.Uint64
	proxy := &httputil.ReverseProxy{
		BufferPool: &bufferPool{},
		Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.ProtoMajor == 2 {
				return h2.RoundTrip(r)
			}
			return h1.RoundTrip(r)
		}),
		Rewrite: func(r *httputil.ProxyRequest) {
			e := set.Endpoints[turn.Add(1)%uint64(len(set.Endpoints))]
			r.SetURL(&url.URL{Scheme: "http", Host: e.Address})
			r.Out.Host = r.In.Host
		},
	}
	l, err := httpserver.Listen(ctx, listen)
	if err != nil {
		return err
	}
	return httpserver.Serve(ctx, slog.New(slog.DiscardHandler), httpserver.Options{Name: "reverseproxy", Listener: l, Handler: proxy})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type bufferPool struct{ pool sync.Pool }

func (b *bufferPool) Get() []byte {
	if buf, ok := b.pool.Get().(*[]byte); ok {
		return *buf
	}
	return make([]byte, 32<<10)
}

func (b *bufferPool) Put(buf []byte) { b.pool.Put(&buf) }

// proxy is one to be measured.
type proxy struct {
	name, addr string
	pid        int

	requests int
	cpu      time.Duration
}

// startProxy starts the test binary as a proxy over the file.
func startProxy(b *testing.B, name, path string) *proxy {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	addr := l.Addr().String()
	require.NoError(b, l.Close())
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+name, childListen+"="+addr, childFile+"="+path)
	cmd.Stderr = os.Stderr
	if !testing.Verbose() {
		cmd.Stderr = nil
	}
	require.NoError(b, cmd.Start())
	b.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait() // its exit code is of no interest
	})
	require.Eventually(b, func() bool {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return false
		}
		_ = conn.Close()
		return true
	}, deadline, time.Millisecond, "%s does not listen", name)
	return &proxy{name: name, addr: addr, pid: cmd.Process.Pid}
}

// cpuTime is what a process has used so far. Linux counts it exactly and shows it in hundredths of a second.
func cpuTime(b *testing.B, pid int) time.Duration {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, os.ErrNotExist) {
		testreal.Skip(b, "the cost of a process is read from /proc, which only Linux has")
	}
	require.NoError(b, err)
	// The name in parentheses may hold anything; utime and stime are the 12th and 13th field after it.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	const tick = 10 * time.Millisecond
	sum := time.Duration(0)
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		require.NoError(b, err)
		sum += time.Duration(n) * tick
	}
	return sum
}

// BenchmarkPerCore compares requests per second of the proxy's CPU time, whose unit is req/core-s, between the mesh,
// httputil.ReverseProxy and, where it is present, Envoy with one worker. They are measured in turns under the same load: 16
// connections, kept alive, each with one request under way, to three pods.
func BenchmarkPerCore(b *testing.B) {
	const connections, round = 16, 4000
	var list []endpoints.Endpoint
	for i := range 3 {
		list = append(list, pod(b, fmt.Sprintf("jarvis-%d", i), func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(w, `{"answer":"hello","turn":1}`)
		}))
	}
	f := newFile(b, list...)
	proxies := []*proxy{startProxy(b, "mesh", f.path), startProxy(b, "reverseproxy", f.path)}
	if _, ok := testreal.Lookup(b, "envoy"); ok {
		o := options(b, f, mesh.Ring, func(o *mesh.Options) { o.Listen, o.Admin = "127.0.0.1:0", "" })
		bootstrap, err := envoyconfig.Bootstrap(o)
		require.NoError(b, err)
		e := testreal.StartEnvoy(b, string(bootstrap))
		proxies = append(proxies, &proxy{name: "envoy", addr: e.Listener(b, envoyconfig.Listener), pid: e.PID})
	}
	for _, load := range []struct {
		name string
		body int
		h2c  bool
	}{{name: "GET"}, {name: "POST-1KiB", body: 1 << 10}, {name: "h2c-GET", h2c: true}} {
		b.Run(load.name, func(b *testing.B) {
			for _, p := range proxies {
				p.requests, p.cpu = 0, 0
			}
			c := client(b, load.h2c)
			for b.Loop() {
				for _, p := range proxies {
					before := cpuTime(b, p.pid)
					require.NoError(b, fire(b.Context(), c, p.addr, connections, round, load.body))
					p.cpu += cpuTime(b, p.pid) - before
					p.requests += round
				}
			}
			perCore := map[string]float64{}
			for _, p := range proxies {
				perCore[p.name] = float64(p.requests) / p.cpu.Seconds()
				b.ReportMetric(perCore[p.name], p.name+"-req/core-s")
			}
			for _, p := range proxies[1:] {
				b.ReportMetric(perCore["mesh"]/perCore[p.name], "x-"+p.name)
			}
			b.ReportMetric(0, "ns/op") // a round over all proxies says nothing
		})
	}
}

// fire makes n requests over as many connections at a time, each for a session of its own.
func fire(ctx context.Context, c *http.Client, addr string, connections, n, body int) error {
	payload := strings.Repeat("x", body)
	var next atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for range connections {
		group.Go(func() error {
			for {
				i := next.Add(1)
				if i > int64(n) {
					return nil
				}
				method, content := http.MethodGet, io.Reader(nil)
				if body > 0 {
					method, content = http.MethodPost, strings.NewReader(payload)
				}
				req, err := http.NewRequestWithContext(ctx, method, "http://"+addr+"/inference", content)
				if err != nil {
					return err
				}
				req.Header.Set(session.Header, fmt.Sprintf("session-%d", i))
				res, err := c.Do(req)
				if err != nil {
					return err
				}
				_, err = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
				if err != nil || res.StatusCode != http.StatusOK {
					return errors.Join(err, fmt.Errorf("status %d", res.StatusCode))
				}
			}
		})
	}
	return group.Wait()
}
