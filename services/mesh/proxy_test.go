package mesh_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/mesh"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/wire"
)

func TestNoRequestIsLostAcrossReloads(t *testing.T) {
	for _, h2c := range []bool{false, true} {
		t.Run(fmt.Sprintf("h2c=%t", h2c), func(t *testing.T) {
			list := pods(t, 6)
			f := newFile(t, list...)
			s := serve(t, options(t, f, mesh.Ring))
			c := client(t, h2c)
			var requests atomic.Int64
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			group, ctx := errgroup.WithContext(ctx)
			for w := range 8 {
				group.Go(func() error {
					for i := 0; ctx.Err() == nil; i++ {
						// Not bound to ctx: a request that has begun must end well.
						req, err := http.NewRequest(http.MethodPost, s.url, strings.NewReader("prompt"))
						if err != nil {
							return err
						}
						req.Header.Set(session.Header, fmt.Sprintf("session-%d-%d", w, i))
						res, err := c.Do(req)
						if err != nil {
							return err
						}
						_, err = io.Copy(io.Discard, res.Body)
						_ = res.Body.Close()
						if err != nil || res.StatusCode != http.StatusOK {
							return fmt.Errorf("status %d: %w", res.StatusCode, err)
						}
						requests.Add(1)
					}
					return nil
				})
			}
			for version := range 100 {
				before := requests.Load()
				kept := append([]endpoints.Endpoint(nil), list[version%3:3+version%4]...)
				kept[0].Health = endpoints.Health(version % 2)
				f.set(t, kept...)
				require.Eventually(t, func() bool { return requests.Load() > before+10 || ctx.Err() != nil }, deadline, time.Millisecond)
			}
			stop()
			require.NoError(t, group.Wait())
			s.reloaded(t, 20)
			require.Greater(t, requests.Load(), int64(1000))
		})
	}
}

func TestARequestUnderWaySurvivesTheRemovalOfItsPod(t *testing.T) {
	for _, h2c := range []bool{false, true} {
		entered, finish := make(chan struct{}), make(chan struct{})
		slow := pod(t, "slow", func(w http.ResponseWriter, _ *http.Request) {
			close(entered)
			<-finish
			_, _ = io.WriteString(w, "done")
		})
		f := newFile(t, slow)
		s := serve(t, options(t, f, mesh.Ring))
		answer := make(chan string, 1)
		c := client(t, h2c)
		go func() { answer <- bodyOf(t, get(t, c, s.url)) }()
		<-entered
		f.set(t, pods(t, 1)...)
		s.reloaded(t, 2)
		require.Equal(t, "jarvis-0", podOf(t, client(t, false), s.url, ""))
		close(finish)
		require.Equal(t, "done", <-answer)
	}
}

func TestAFailedConnectionIsRetried(t *testing.T) {
	alive := pod(t, "alive", func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	gone := dead(t, "gone")
	policies := []mesh.Policy{mesh.RoundRobin, mesh.LeastRequest, mesh.Random, mesh.Ring, mesh.Maglev}
	for _, h2c := range []bool{false, true} {
		for _, policy := range policies {
			t.Run(fmt.Sprintf("other/%s h2c=%t", policy, h2c), func(t *testing.T) {
				s := serve(t, options(t, newFile(t, alive, gone), policy, func(o *mesh.Options) { o.RetryHost = mesh.RetryOther }))
				c := client(t, h2c)
				codes := map[int]int{}
				for i := range 24 {
					// The body is sent whole although the first pod did not take it.
					req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url, strings.NewReader("prompt"))
					require.NoError(t, err)
					req.Header.Set(session.Header, fmt.Sprintf("session-%d", i))
					res, err := c.Do(req)
					require.NoError(t, err)
					res.Body = readAll(t, res)
					codes[res.StatusCode]++
					if res.StatusCode == http.StatusOK {
						require.Equal(t, "prompt", bodyOf(t, res))
					}
				}
				// The balancer is asked for another pod six times; with two, one session in 64 is left with the dead one.
				require.Greater(t, codes[http.StatusOK], 16)
				require.NotZero(t, s.counter(t, "mesh_retries_total"), "the dead pod was picked")
			})
			t.Run(fmt.Sprintf("same/%s h2c=%t", policy, h2c), func(t *testing.T) {
				s := serve(t, options(t, newFile(t, alive, gone), policy, func(o *mesh.Options) { o.RetryHost = mesh.RetrySame }))
				c := client(t, h2c)
				codes := map[int]int{}
				for i := range 24 {
					res := get(t, c, s.url, session.Header, fmt.Sprintf("session-%d", i))
					codes[res.StatusCode]++
					if res.StatusCode != http.StatusOK {
						require.Equal(t, "upstream connect error or disconnect/reset before headers. "+
							"retried and the latest reset reason: remote connection failure", bodyOf(t, res))
					}
				}
				if _, hashed := policy.Algorithm(); hashed {
					require.NotZero(t, codes[http.StatusServiceUnavailable], "a hash names the same pod again")
					failed := float64(codes[http.StatusServiceUnavailable])
					require.InDelta(t, 2*failed, s.counter(t, "mesh_retries_total"), 0, "twice each")
				}
			})
		}
	}
}

func TestIstioRetriesAHashOnTheSamePod(t *testing.T) {
	gone := dead(t, "gone")
	for policy, same := range map[mesh.Policy]bool{mesh.Ring: true, mesh.Maglev: true, mesh.RoundRobin: false, mesh.StatefulByCookie: false} {
		require.Equal(t, same, options(t, newFile(t, gone), policy).RetriesSame(), policy)
	}
}

func TestRetriesMayBeOff(t *testing.T) {
	s := serve(t, options(t, newFile(t, dead(t, "gone")), mesh.Ring, func(o *mesh.Options) { o.Retries = 0 }))
	res := get(t, client(t, false), s.url)
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
	require.Contains(t, bodyOf(t, res), "headers. reset reason: remote connection failure")
	require.Zero(t, s.counter(t, "mesh_retries_total"))
}

// rawPod answers each connection by f, which gets the request's head.
func rawPod(t testing.TB, f func(c net.Conn, r *http.Request)) endpoints.Endpoint {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var group errgroup.Group
	group.Go(func() error {
		for {
			c, err := l.Accept()
			if err != nil {
				return nil
			}
			group.Go(func() error {
				defer c.Close()
				if r, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					f(c, r)
				}
				return nil
			})
		}
	})
	t.Cleanup(func() {
		require.NoError(t, l.Close())
		require.NoError(t, group.Wait())
	})
	return endpoints.Endpoint{Address: l.Addr().String()}
}

func TestAPodThatFailsAfterTheRequestIsNotAskedAgain(t *testing.T) {
	var asked atomic.Int64
	for name, row := range map[string]struct {
		answer string
		status int
		body   string
		flag   string
	}{
		"closes":            {"", 503, "reset reason: connection termination", "UC"},
		"half a head":       {"HTTP/1.1 200 OK\r\nContent", 502, "reset reason: protocol error", "UPE"},
		"no HTTP":           {"garbage\r\n\r\n", 502, "reset reason: protocol error", "UPE"},
		"endless head":      {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 70<<10), 502, "reset reason: protocol error", "UPE"},
		"switches unasked":  {"HTTP/1.1 101 Switching Protocols\r\n\r\n", 502, "reset reason: protocol error", "UPE"},
		"interim responses": {"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", 204, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			asked.Store(0)
			bad := rawPod(t, func(c net.Conn, _ *http.Request) {
				asked.Add(1)
				_, _ = io.WriteString(c, row.answer)
			})
			s := serve(t, options(t, newFile(t, bad), mesh.RoundRobin))
			res := get(t, client(t, false), s.url)
			require.Equal(t, row.status, res.StatusCode)
			require.Contains(t, bodyOf(t, res), row.body)
			require.EqualValues(t, 1, asked.Load())
			if row.flag != "" {
				require.EqualValues(t, 1, s.counter(t, "mesh_failures_total", "flag", row.flag))
			}
		})
	}
}

func TestAResponseThatBreaksOffIsNotTakenForWhole(t *testing.T) {
	for name, answer := range map[string]string{
		"known length": "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhal",
		"chunked":      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhal\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			bad := rawPod(t, func(c net.Conn, _ *http.Request) { _, _ = io.WriteString(c, answer) })
			s := serve(t, options(t, newFile(t, bad), mesh.RoundRobin))
			res, err := client(t, false).Get(s.url)
			require.NoError(t, err)
			defer res.Body.Close()
			_, err = io.ReadAll(res.Body)
			require.Error(t, err)
			require.EqualValues(t, 1, s.counter(t, "mesh_failures_total", "flag", "UC"))
		})
	}
}

func TestAConnectionThatThePodClosedIsNotUsedAgain(t *testing.T) {
	var connections atomic.Int64
	once := rawPod(t, func(c net.Conn, _ *http.Request) {
		connections.Add(1)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi") // and closes without a word
	})
	s := serve(t, options(t, newFile(t, once), mesh.RoundRobin))
	c := client(t, false)
	closed := 0
	for range 50 {
		res := get(t, c, s.url)
		if res.StatusCode == http.StatusServiceUnavailable {
			closed++ // the request crossed the close, as it can in Envoy
		}
	}
	require.Less(t, closed, 50/2)
	require.Greater(t, connections.Load(), int64(1))
}

func TestConnectionsAreKept(t *testing.T) {
	seen := make(chan string, 1)
	p := pod(t, "a", func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		seen <- r.RemoteAddr
	})
	s := serve(t, options(t, newFile(t, p), mesh.RoundRobin))
	for name, ask := range map[string]func(c *http.Client) (*http.Response, error){
		"no body":    func(c *http.Client) (*http.Response, error) { return c.Get(s.url) },
		"small body": func(c *http.Client) (*http.Response, error) { return c.Post(s.url, "", strings.NewReader("x")) },
		"body of unknown length": func(c *http.Client) (*http.Response, error) {
			return c.Post(s.url, "", io.MultiReader(strings.NewReader("x")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			connected := 0
			c := client(t, false)
			dial := &net.Dialer{}
			c.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
				connected++
				return dial.DialContext(ctx, network, addr)
			}
			remotes := map[string]bool{}
			for range 100 {
				res, err := ask(c)
				require.NoError(t, err)
				readAll(t, res)
				remotes[<-seen] = true
			}
			require.Len(t, remotes, 1, "between the mesh and the pod")
			require.Equal(t, 1, connected, "between the client and the mesh")
		})
	}
}

func TestTimeouts(t *testing.T) {
	const short = 50 * time.Millisecond
	streams := make(chan struct{}, 10)
	hang := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Header.Get("Accept") != "" {
			streams <- struct{}{}
		}
		if r.URL.Path == "/begun" {
			_, _ = io.WriteString(w, "begun")
			_ = http.NewResponseController(w).Flush()
		}
		<-r.Context().Done()
	}
	for _, h2c := range []bool{false, true} {
		t.Run(fmt.Sprintf("h2c=%t", h2c), func(t *testing.T) {
			s := serve(t, options(t, newFile(t, pod(t, "a", hang)), mesh.Ring, func(o *mesh.Options) { o.Timeout = short }))
			c := client(t, h2c)

			res := get(t, c, s.url)
			require.Equal(t, http.StatusGatewayTimeout, res.StatusCode)
			require.Equal(t, "upstream request timeout", bodyOf(t, res))

			overdue, status := 1, http.StatusGatewayTimeout
			for ; status == http.StatusGatewayTimeout && overdue < 100; overdue++ { // which it is where a busy machine does not begin in time
				begun, err := c.Get(s.url + "/begun")
				require.NoError(t, err)
				defer begun.Body.Close()
				status = begun.StatusCode
				_, err = io.ReadAll(begun.Body)
				require.True(t, err != nil || status == http.StatusGatewayTimeout, "the time-out spans the whole response")
			}
			require.Equal(t, http.StatusOK, status)

			// A stream has a time-out of its own, 0 here: only the client ends it.
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() {
				select {
				case <-streams:
					time.AfterFunc(4*short, cancel)
				case <-ctx.Done():
				}
			}()
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
			require.NoError(t, err)
			req.Header.Set("Accept", "text/event-stream")
			_, err = c.Do(req)
			require.ErrorIs(t, err, context.Canceled)
			require.EqualValues(t, overdue, s.counter(t, "mesh_failures_total", "flag", "UT"))
			require.Eventually(t, func() bool { return s.counter(t, "mesh_failures_total", "flag", "DC") == 1 }, deadline, time.Millisecond)
		})
	}
}

func TestTheTimeoutBeginsAtTheRequestsEnd(t *testing.T) {
	const short = 50 * time.Millisecond
	s := serve(t, options(t, newFile(t, pod(t, "a", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body)
	})), mesh.Ring, func(o *mesh.Options) { o.Timeout = short }))
	for _, h2c := range []bool{false, true} {
		r, w := io.Pipe()
		time.AfterFunc(4*short, func() { _, _ = io.WriteString(w, "late"); _ = w.Close() })
		res, err := client(t, h2c).Post(s.url, "text/plain", r)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, res.StatusCode)
		res.Body = readAll(t, res)
		require.Equal(t, "late", bodyOf(t, res))
	}
}

// echoLines is a pod that answers each line as it comes, with trailers at the end.
func echoLines(t testing.TB) endpoints.Endpoint {
	t.Helper()
	return pod(t, "a", func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		_ = control.EnableFullDuplex()
		w.Header().Set("Trailer", "X-Announced")
		_ = control.Flush() // the head, before anything came
		lines := bufio.NewScanner(r.Body)
		for lines.Scan() {
			_, _ = fmt.Fprintln(w, "echo "+lines.Text())
			_ = control.Flush()
		}
		w.Header().Set("X-Announced", "1")
		w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
	})
}

// talk sends lines to echoLines, each once the last was answered.
func talk(t *testing.T, c *http.Client, url string) {
	t.Helper()
	r, w := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, r)
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/grpc")
	req.Header.Set("Te", "trailers")
	res, err := c.Do(req) // returns at the head, while the request goes on
	require.NoError(t, err)
	defer res.Body.Close()
	require.Empty(t, res.Header.Get(wire.HeaderUpstreamServiceTime), "the request is not complete")
	answers := bufio.NewScanner(res.Body)
	for i := range 20 {
		_, err := fmt.Fprintln(w, i)
		require.NoError(t, err)
		require.True(t, answers.Scan())
		require.Equal(t, fmt.Sprintf("echo %d", i), answers.Text())
	}
	require.NoError(t, w.Close())
	require.False(t, answers.Scan())
	require.NoError(t, answers.Err())
	require.Equal(t, "1", res.Trailer.Get("X-Announced"))
	require.Equal(t, "0", res.Trailer.Get("Grpc-Status"))
}

func TestStreamsFlowBothWaysAtOnce(t *testing.T) {
	s := serve(t, options(t, newFile(t, echoLines(t)), mesh.Ring))
	for _, h2c := range []bool{false, true} {
		t.Run(fmt.Sprintf("h2c=%t", h2c), func(t *testing.T) { talk(t, client(t, h2c), s.url) })
	}
}

func TestEventsArriveAsTheyAreSent(t *testing.T) {
	next := make(chan struct{})
	s := serve(t, options(t, newFile(t, pod(t, "a", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(w).Flush()
		for range next {
			_, _ = io.WriteString(w, "data: x\n\n")
			_ = http.NewResponseController(w).Flush()
		}
	})), mesh.Ring))
	res, err := client(t, false).Get(s.url)
	require.NoError(t, err)
	defer res.Body.Close()
	lines := bufio.NewReader(res.Body)
	for range 5 {
		next <- struct{}{}
		line, err := lines.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, "data: x\n", line)
		_, err = lines.ReadString('\n')
		require.NoError(t, err)
	}
	close(next)
	_, err = lines.ReadString('\n')
	require.ErrorIs(t, err, io.EOF)
}

func TestAnAnswerBeforeTheRequestsEndArrives(t *testing.T) {
	refuse := func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
	}
	for h2c, list := range map[bool][]endpoints.Endpoint{
		true: {pod(t, "a", refuse)},
		false: {rawPod(t, func(c net.Conn, _ *http.Request) {
			_, _ = io.WriteString(c, "HTTP/1.1 413 Request Entity Too Large\r\nContent-Length: 10\r\n\r\ntoo large\n")
			_, _ = io.Copy(io.Discard, c)
		})},
	} {
		t.Run(fmt.Sprintf("h2c=%t", h2c), func(t *testing.T) {
			s := serve(t, options(t, newFile(t, list...), mesh.Ring))
			r, w := io.Pipe()
			res, err := client(t, h2c).Post(s.url, "text/plain", r) // nothing of the body is ever sent
			require.NoError(t, err)
			require.Equal(t, http.StatusRequestEntityTooLarge, res.StatusCode)
			res.Body = readAll(t, res)
			require.Equal(t, "too large\n", bodyOf(t, res))
			require.Eventually(t, func() bool { return s.counter(t, "mesh_requests_active") == 0 }, deadline, time.Millisecond)
			require.NoError(t, w.Close())
		})
	}
}

func TestBodiesOfEverySizeArriveWhole(t *testing.T) {
	s := serve(t, options(t, newFile(t, pod(t, "a", func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprintln(w, n, r.ContentLength, err)
	})), mesh.Ring))
	for _, h2c := range []bool{false, true} {
		c := client(t, h2c)
		for _, n := range []int{0, 1, 16 << 10, 16<<10 + 1, 1 << 20} {
			for _, known := range []bool{true, false} {
				length, body := n, io.Reader(strings.NewReader(strings.Repeat("x", n)))
				if !known {
					if n == 0 {
						continue
					}
					length, body = -1, io.MultiReader(body) // hides the length
				}
				res, err := c.Post(s.url, "text/plain", body)
				require.NoError(t, err)
				res.Body = readAll(t, res)
				require.Equal(t, fmt.Sprintf("%d %d <nil>\n", n, length), bodyOf(t, res))
			}
		}
	}
}

func TestWebSocketsPassThrough(t *testing.T) {
	echo := func(name string) endpoints.Endpoint {
		return pod(t, name, func(w http.ResponseWriter, r *http.Request) {
			c, err := websocket.Accept(w, r, nil)
			if err != nil {
				return
			}
			defer c.CloseNow()
			for {
				kind, b, err := c.Read(r.Context())
				if err != nil {
					return
				}
				if err := c.Write(r.Context(), kind, append([]byte(name+" "), b...)); err != nil {
					return
				}
			}
		})
	}
	list := []endpoints.Endpoint{echo("a"), echo("b"), echo("c")}
	// The time-out of a route does not end a WebSocket.
	s := serve(t, options(t, newFile(t, list...), mesh.StatefulByHeader, func(o *mesh.Options) { o.Timeout = time.Millisecond }))
	for _, e := range list {
		ctx, cancel := context.WithTimeout(t.Context(), deadline)
		defer cancel()
		h := http.Header{}
		h.Set(token(mesh.StatefulByHeader, e.Address)[0], token(mesh.StatefulByHeader, e.Address)[1])
		c, res, err := websocket.Dial(ctx, s.url, &websocket.DialOptions{HTTPHeader: h, HTTPClient: client(t, false)})
		require.NoError(t, err)
		require.Empty(t, res.Header.Get(wire.HeaderStateful))
		for i := range 10 {
			message := strings.Repeat("x", i*i*1000)
			require.NoError(t, c.Write(ctx, websocket.MessageText, []byte(message)))
			_, answer, err := c.Read(ctx)
			if i*i*1000 > 32<<10 {
				break // the library's limit
			}
			require.NoError(t, err)
			require.Equal(t, e.Pod+" "+message, string(answer))
		}
		_ = c.Close(websocket.StatusNormalClosure, "")
	}
	require.Eventually(t, func() bool { return s.counter(t, "mesh_requests_active") == 0 }, deadline, time.Millisecond)

	c, res, err := websocket.Dial(t.Context(), s.url, &websocket.DialOptions{HTTPClient: client(t, false)})
	require.NoError(t, err)
	require.NotEmpty(t, res.Header.Get(wire.HeaderStateful), "the 101 carries the token")
	require.NoError(t, c.CloseNow())
}

func TestAWebSocketEndsWithItsPodAndWithTheMesh(t *testing.T) {
	gone := make(chan struct{})
	p := pod(t, "a", func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err == nil {
			<-gone
			_ = c.CloseNow()
		}
	})
	s := serve(t, options(t, newFile(t, p), mesh.Ring))
	c, _, err := websocket.Dial(t.Context(), s.url, &websocket.DialOptions{HTTPClient: client(t, false)})
	require.NoError(t, err)
	close(gone)
	_, _, err = c.Read(t.Context())
	require.Error(t, err)
	require.NoError(t, errors.Join(c.CloseNow()))

	// One that is still open when the test ends must not keep the mesh: see serve's clean-up.
	open := rawPod(t, func(c net.Conn, _ *http.Request) {
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_, _ = io.Copy(io.Discard, c)
	})
	s = serve(t, options(t, newFile(t, open), mesh.Ring))
	conn, err := net.Dial("tcp", s.addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	require.NoError(t, err)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, res.StatusCode)
}

func TestHeadersOnTheWay(t *testing.T) {
	for _, h2c := range []bool{false, true} {
		t.Run(fmt.Sprintf("h2c=%t", h2c), func(t *testing.T) {
			seen := make(chan http.Header, 1)
			s := serve(t, options(t, newFile(t, pod(t, "a", func(w http.ResponseWriter, r *http.Request) {
				seen <- r.Header.Clone()
				w.Header()["Content-Type"] = nil
				w.Header()["Set-Cookie"] = []string{"a=1", "b=2"}
				_, _ = io.WriteString(w, "<html>")
			})), mesh.Ring))
			c := client(t, h2c)
			res := get(t, c, s.url, "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
				"X-Forwarded-For", "203.0.113.7", "User-Agent", "")
			at := <-seen
			require.Equal(t, "http", at.Get("X-Forwarded-Proto"))
			require.Equal(t, "1", at.Get("X-Envoy-Attempt-Count"))
			require.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, at.Get("X-Request-Id"))
			require.Equal(t, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", at.Get("traceparent"))
			require.Equal(t, "203.0.113.7", at.Get("X-Forwarded-For"), "a sidecar appends nothing")
			require.Empty(t, at["User-Agent"])
			require.Regexp(t, `^\d+$`, res.Header.Get(wire.HeaderUpstreamServiceTime))
			require.Equal(t, []string{"a=1", "b=2"}, res.Header["Set-Cookie"])
			require.Empty(t, res.Header["Content-Type"], "the mesh guesses none")

			get(t, c, s.url, "X-Request-Id", "mine", "X-Forwarded-Proto", "https", "X-Envoy-Attempt-Count", "9")
			at = <-seen
			require.Equal(t, []string{"mine"}, at["X-Request-Id"])
			require.Equal(t, []string{"https"}, at["X-Forwarded-Proto"])
			require.Equal(t, []string{"1"}, at["X-Envoy-Attempt-Count"])

			if !h2c {
				get(t, c, s.url, "Connection", "X-Hop", "X-Hop", "1", "Keep-Alive", "3", "Proxy-Connection", "x", "Te", "trailers, deflate")
				at = <-seen
				for _, name := range []string{"X-Hop", "Keep-Alive", "Proxy-Connection", "Connection"} {
					require.Empty(t, at[name], name)
				}
				require.Equal(t, []string{"trailers"}, at["Te"])
			}
		})
	}
}

func TestRequestsThatEnvoyHasNoRouteFor(t *testing.T) {
	s := serve(t, options(t, newFile(t, pods(t, 1)...), mesh.Ring))
	for request, status := range map[string]int{
		"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n":                                        http.StatusNotFound,
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n":        http.StatusForbidden,
		"GET http://b/x HTTP/1.1\r\nHost: a\r\n\r\n":                                      http.StatusOK,
		"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n": http.StatusOK,
	} {
		conn, err := net.Dial("tcp", s.addr)
		require.NoError(t, err)
		_, err = io.WriteString(conn, request)
		require.NoError(t, err)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err)
		require.Equal(t, status, res.StatusCode, request)
		require.NoError(t, conn.Close())
	}
}

func TestAClientThatLeavesEndsItsRequest(t *testing.T) {
	for _, h2c := range []bool{false, true} {
		entered, left := make(chan struct{}), make(chan struct{})
		s := serve(t, options(t, newFile(t, pod(t, "a", func(_ http.ResponseWriter, r *http.Request) {
			close(entered)
			<-r.Context().Done()
			close(left)
		})), mesh.Ring))
		ctx, cancel := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
		require.NoError(t, err)
		c := client(t, h2c)
		failed := make(chan error, 1)
		go func() {
			_, err := c.Do(req)
			failed <- err
		}()
		<-entered
		cancel()
		require.ErrorIs(t, <-failed, context.Canceled)
		<-left
	}
}
