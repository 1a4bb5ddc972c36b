package mesh_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/mesh"
	"github.com/smaran-v2/smaran/services/mesh/envoyconfig"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/testreal"
	"github.com/smaran-v2/smaran/services/wire"
)

// pair is a mesh and an Envoy that read the same file with the same options.
type pair struct {
	file  *file
	mesh  *server
	envoy *testreal.Envoy
	urls  [2]string
}

func newPair(t *testing.T, policy mesh.Policy, list []endpoints.Endpoint, change ...func(*mesh.Options)) *pair {
	t.Helper()
	f := newFile(t, list...)
	o := options(t, f, policy, change...)
	p := &pair{file: f, mesh: serve(t, o)}
	o.Listen, o.Admin = "127.0.0.1:0", ""
	bootstrap, err := envoyconfig.Bootstrap(o)
	require.NoError(t, err)
	p.envoy = testreal.StartEnvoy(t, string(bootstrap))
	p.urls = [2]string{p.mesh.url, "http://" + p.envoy.Listener(t, envoyconfig.Listener)}
	return p
}

// set replaces the file and returns once both have it.
func (p *pair) set(t *testing.T, list ...endpoints.Endpoint) {
	t.Helper()
	p.file.set(t, list...)
	p.mesh.reloaded(t, p.file.version)
	c := client(t, false)
	require.Eventually(t, func() bool {
		stat := bodyOf(t, get(t, c, "http://"+p.envoy.AdminAddr+"/stats?filter=cluster.jarvis.update_success"))
		_, value, _ := strings.Cut(strings.TrimSpace(stat), ": ")
		n, err := strconv.Atoi(value)
		return err == nil && n >= p.file.version
	}, deadline, 5*time.Millisecond)
}

// same asserts that what ask sees of both is equal, and returns it.
func same[T any](t *testing.T, p *pair, ask func(url string) T) T {
	t.Helper()
	ours, theirs := ask(p.urls[0]), ask(p.urls[1])
	require.Empty(t, cmp.Diff(theirs, ours), "- Envoy, + mesh")
	return ours
}

func TestEnvoyPicksTheSamePods(t *testing.T) {
	list := pods(t, 12)
	weighted := slices.Clone(list[:7])
	for i := range weighted {
		weighted[i].Weight = uint32(i%3 + 1)
	}
	keyed := slices.Clone(list[:5])
	for i := range keyed {
		keyed[i].HashKey = fmt.Sprintf("key-%d", i)
	}
	mixed := slices.Clone(list)
	mixed[2].Health, mixed[5].Health, mixed[7].Health, mixed[8].Health = endpoints.Draining, endpoints.Unhealthy, endpoints.Degraded, endpoints.Unknown
	reversed := slices.Clone(list)
	slices.Reverse(reversed)
	versions := [][]endpoints.Endpoint{list[:3], list[:10], list[4:], weighted, keyed, mixed, reversed[:4], list[:1], list[:3]}
	for name, row := range map[string]struct {
		policy mesh.Policy
		change func(*mesh.Options)
	}{
		"ring":                         {mesh.Ring, func(*mesh.Options) {}},
		"large ring":                   {mesh.Ring, func(o *mesh.Options) { o.RingSize = 10240 }},
		"maglev":                       {mesh.Maglev, func(*mesh.Options) {}},
		"small maglev, another header": {mesh.Maglev, func(o *mesh.Options) { o.TableSize, o.SessionHeader = 251, "x-other" }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t, row.policy, versions[0], row.change)
			c := client(t, false)
			header := p.mesh.header
			moved, last := 0, map[string]string{}
			for i, version := range versions {
				if i > 0 {
					p.set(t, version...)
				}
				for n := range 100 {
					id := fmt.Sprintf("session-%d", n)
					at := same(t, p, func(url string) string { return get(t, c, url, header, id).Header.Get(wire.HeaderPod) })
					if last[id] != at {
						moved++
					}
					last[id] = at
				}
				for n := range 20 {
					one, two := fmt.Sprintf("b-%d", n), fmt.Sprintf("a-%d", n)
					same(t, p, func(url string) string { return get(t, c, url, header, one, header, two).Header.Get(wire.HeaderPod) })
				}
				same(t, p, func(url string) string { return get(t, c, url, header, "").Header.Get(wire.HeaderPod) })
			}
			require.Greater(t, moved, 300, "the versions differ")
		})
	}
}

// seen is what a client sees of a response.
type seen struct {
	Status      int
	Body        string
	ContentType string
	GRPCStatus  string
	Message     string
	ServiceTime bool
	Token       string
	Closed      bool // the body did not come to its end
}

func look(t *testing.T, policy mesh.Policy, request string) func(url string) seen {
	return func(url string) seen {
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		require.NoError(t, err)
		defer conn.Close()
		require.NoError(t, conn.SetDeadline(time.Now().Add(deadline)))
		_, err = io.WriteString(conn, strings.ReplaceAll(request, "\n", "\r\n"))
		require.NoError(t, err)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err)
		defer res.Body.Close()
		if res.StatusCode == http.StatusSwitchingProtocols {
			return seen{Status: res.StatusCode, Token: emitted(policy, res)}
		}
		body, err := io.ReadAll(res.Body)
		return seen{
			Status:      res.StatusCode,
			Body:        string(body),
			ContentType: res.Header.Get("Content-Type"),
			GRPCStatus:  res.Header.Get("Grpc-Status"),
			Message:     res.Header.Get("Grpc-Message"),
			ServiceTime: res.Header.Get(wire.HeaderUpstreamServiceTime) != "",
			Token:       emitted(policy, res),
			Closed:      err != nil,
		}
	}
}

const (
	plainRequest = "GET /x HTTP/1.1\nHost: a\nX-Call-Session-Id: s\n\n"
	grpcRequest  = "POST /x HTTP/1.1\nHost: a\nContent-Type: application/grpc\nContent-Length: 0\n\n"
	upgrade      = "GET /x HTTP/1.1\nHost: a\nConnection: Upgrade\nUpgrade: %s\n\n"
)

func TestEnvoyAnswersTheSame(t *testing.T) {
	answer := func(s string, hold bool) endpoints.Endpoint {
		return rawPod(t, func(c net.Conn, _ *http.Request) {
			_, _ = io.WriteString(c, strings.ReplaceAll(s, "\n", "\r\n"))
			if hold {
				_, _ = io.Copy(io.Discard, c)
			}
		})
	}
	never := pod(t, "never", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	// late answers after the route's time-out, but within nobody's patience.
	late := pod(t, "late", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(2 * routeTimeout):
			_, _ = io.WriteString(w, "late")
		case <-r.Context().Done():
		}
	})
	type row struct {
		pod     *endpoints.Endpoint
		request string
		status  int
	}
	// The time-out is short where it has to pass before the answer, and long where the answer has to begin before it, on a busy machine too.
	for timeout, rows := range map[time.Duration]map[string]row{routeTimeout: {
		"hangs":               {ptr(answer("", true)), plainRequest, 504},
		"late":                {ptr(never), plainRequest, 504},
		"late event stream":   {ptr(late), strings.Replace(plainRequest, "Host", "Accept: a/b, text/event-stream\nHost", 1), 200},
		"late Connect stream": {ptr(late), strings.Replace(grpcRequest, "grpc", "connect+json", 1), 200},
		"late gRPC":           {ptr(late), grpcRequest, 200},
		"late Connect unary":  {ptr(never), strings.Replace(grpcRequest, "grpc", "json", 1), 504},
	}, 2 * time.Second: {
		"no pod":                  {nil, plainRequest, 503},
		"no pod, gRPC":            {nil, grpcRequest, 200},
		"dead pod":                {ptr(dead(t, "a")), plainRequest, 503},
		"dead pod, gRPC":          {ptr(dead(t, "a")), grpcRequest, 200},
		"closes":                  {ptr(answer("", false)), plainRequest, 503},
		"closes, gRPC":            {ptr(answer("", false)), grpcRequest, 200},
		"cut head":                {ptr(answer("HTTP/1.1 200 OK\nContent", false)), plainRequest, 502},
		"no HTTP":                 {ptr(answer("garbage\n\n", true)), plainRequest, 502},
		"hangs in its body":       {ptr(answer("HTTP/1.1 200 OK\nContent-Length: 9\n\nhal", true)), plainRequest, 200},
		"cut body":                {ptr(answer("HTTP/1.1 200 OK\nContent-Length: 9\n\nhal", false)), plainRequest, 200},
		"answers":                 {ptr(answer("HTTP/1.1 404 Not Found\nContent-Length: 2\n\nhi", true)), plainRequest, 404},
		"answers until it closes": {ptr(answer("HTTP/1.1 200 OK\n\nhi", false)), plainRequest, 200},
		"answers in chunks":       {ptr(answer("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n2\nhi\n0\n\n", true)), plainRequest, 200},
		"interim answer":          {ptr(answer("HTTP/1.1 103 Early Hints\nLink: x\n\nHTTP/1.1 204 No Content\n\n", true)), plainRequest, 204},
		"no body to an upload":    {ptr(answer("HTTP/1.1 200 OK\nContent-Length: 0\n\n", true)), "POST /x HTTP/1.1\nHost: a\nContent-Length: 0\n\n", 200},
		"websocket":               {ptr(answer("HTTP/1.1 101 Switching Protocols\nConnection: Upgrade\nUpgrade: websocket\n\n", true)), fmt.Sprintf(upgrade, "websocket"), 101},
		"websocket refused":       {ptr(answer("HTTP/1.1 400 Bad Request\nContent-Length: 2\n\nno", true)), fmt.Sprintf(upgrade, "WebSocket"), 400},
		"websocket, dead pod":     {ptr(dead(t, "a")), fmt.Sprintf(upgrade, "websocket"), 503},
		"other upgrade":           {ptr(answer("", true)), fmt.Sprintf(upgrade, "foo"), 403},
		"CONNECT":                 {ptr(answer("", true)), "CONNECT a:80 HTTP/1.1\nHost: a\n\n", 404},
		"upgrade to h2c": {ptr(answer("HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", true)),
			"GET / HTTP/1.1\nHost: a\nConnection: Upgrade, HTTP2-Settings\nUpgrade: h2c\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\n\n", 200},
	}} {
		for _, policy := range []mesh.Policy{mesh.Ring, mesh.StatefulByHeader, mesh.StatefulByCookie} {
			t.Run(fmt.Sprintf("%s/%s", policy, timeout), func(t *testing.T) {
				t.Parallel()
				p := newPair(t, policy, nil, func(o *mesh.Options) { o.Timeout = timeout })
				for name, row := range rows {
					t.Run(name, func(t *testing.T) {
						if row.pod != nil {
							p.set(t, *row.pod)
						} else {
							p.set(t)
						}
						got := same(t, p, look(t, policy, row.request))
						require.Equal(t, row.status, got.Status)
					})
				}
			})
		}
	}
}

const routeTimeout = 300 * time.Millisecond

func ptr[T any](v T) *T { return &v }

func TestEnvoyRetriesTheSame(t *testing.T) {
	alive, gone := pods(t, 1)[0], dead(t, "gone")
	for _, policy := range []mesh.Policy{mesh.Ring, mesh.Maglev} {
		for _, where := range []mesh.RetryHost{mesh.RetryOther, mesh.RetrySame, ""} {
			t.Run(fmt.Sprintf("%s/%s", policy, where), func(t *testing.T) {
				p := newPair(t, policy, []endpoints.Endpoint{alive, gone}, func(o *mesh.Options) { o.RetryHost = where })
				c := client(t, false)
				codes := map[int]int{}
				for i := range 20 {
					codes[same(t, p, func(url string) int {
						return get(t, c, url, session.Header, fmt.Sprintf("session-%d", i)).StatusCode
					})]++
				}
				require.NotZero(t, codes[http.StatusOK])
				if where != mesh.RetryOther {
					require.NotZero(t, codes[http.StatusServiceUnavailable])
				}
			})
		}
	}
	// Another pod for a token of a dead one, and the token says so.
	for _, policy := range []mesh.Policy{mesh.StatefulByHeader, mesh.StatefulByCookie} {
		p := newPair(t, policy, []endpoints.Endpoint{alive, gone})
		h := token(policy, gone.Address)
		got := same(t, p, look(t, policy, fmt.Sprintf("GET / HTTP/1.1\nHost: a\n%s: %s\n\n", h[0], h[1])))
		require.Equal(t, seen{Status: http.StatusOK, ServiceTime: true, Token: emission(policy, alive.Address)}, got)
	}
}

func TestEnvoyKeepsTheSameSessions(t *testing.T) {
	// One pod in rotation makes what the balancer does certain.
	list := pods(t, 5)
	list[1].Health, list[2].Health, list[3].Health = endpoints.Draining, endpoints.Unhealthy, endpoints.Timeout
	list[4] = pod(t, "v6", func(http.ResponseWriter, *http.Request) {})
	list[4].Health = endpoints.Draining
	for _, policy := range []mesh.Policy{mesh.StatefulByHeader, mesh.StatefulByCookie} {
		t.Run(string(policy), func(t *testing.T) {
			p := newPair(t, policy, list)
			c := client(t, false)
			type outcome struct{ Pod, Token string }
			ask := func(header ...string) outcome {
				return same(t, p, func(url string) outcome {
					res := get(t, c, url, header...)
					return outcome{res.Header.Get(wire.HeaderPod), emitted(policy, res)}
				})
			}
			drained := ask(token(policy, list[1].Address)...)
			if policy == mesh.StatefulByCookie {
				require.Equal(t, outcome{Pod: "jarvis-1"}, drained)
			} else {
				require.Equal(t, outcome{"jarvis-0", emission(policy, list[0].Address)}, drained)
			}
			for _, e := range list {
				ask(token(policy, e.Address)...)
			}
			ask(token(policy, "127.0.0.1:1")...)
			ask(token(policy, "[::1]:8080")...)
			ask()
			encoded := affinity.EncodeCookie(list[0].Address, 0)
			for _, value := range []string{"", "x", "***", encoded, strings.TrimRight(encoded, "="), encoded + "\x20",
				affinity.EncodeHeader(list[0].Address), affinity.EncodeHeader(""), affinity.EncodeCookie("", 0),
				affinity.EncodeCookie(list[0].Address, 1), affinity.EncodeCookie(list[0].Address, 1<<40)} {
				ask(wire.HeaderStateful, value, "Cookie", "jarvis="+value)
				ask("Cookie", `a=b; jarvis="`+value+`"; c=d`, "Cookie", "jarvis="+encoded)
			}
			list := slices.Clone(list)
			list[0].Health, list[1].Health = endpoints.Draining, endpoints.Healthy
			p.set(t, list...)
			for _, e := range list {
				ask(token(policy, e.Address)...)
			}
			p.set(t, list[1:]...)
			for _, e := range list {
				ask(token(policy, e.Address)...)
			}
		})
	}
}

func TestEnvoyAndTheMeshTakeEachOthersCookiesWithATTL(t *testing.T) {
	list := pods(t, 4)
	p := newPair(t, mesh.StatefulByCookie, list, func(o *mesh.Options) { o.CookieTTL = 100 * time.Second })
	c := client(t, false)
	for i, url := range p.urls {
		for range 5 {
			res := get(t, c, url)
			set := res.Header.Get("Set-Cookie")
			require.Contains(t, set, "; Max-Age=100; Path=/; HttpOnly")
			value := affinity.CookieValue([]string{set}, wire.CookieStateful)
			other := get(t, c, p.urls[1-i], "Cookie", "jarvis="+value)
			require.Equal(t, res.Header.Get(wire.HeaderPod), other.Header.Get(wire.HeaderPod))
			require.Empty(t, other.Header.Get("Set-Cookie"))
		}
	}
}

func TestEnvoySpreadsTheSame(t *testing.T) {
	list := pods(t, 3)
	weighted := slices.Clone(list)
	weighted[1].Weight = 3
	degraded := slices.Clone(list)
	degraded[1].Health, degraded[2].Health = endpoints.Degraded, endpoints.Unhealthy
	for name, row := range map[string]struct {
		policy mesh.Policy
		list   []endpoints.Endpoint
		within float64 // of 300 requests
	}{
		"turns":             {mesh.RoundRobin, list, 2},
		"weighted turns":    {mesh.RoundRobin, weighted, 3},
		"weighted requests": {mesh.LeastRequest, weighted, 3},
		"weighted random":   {mesh.Random, weighted, 60},
		"degraded":          {mesh.RoundRobin, degraded, 60},
		"degraded ring":     {mesh.Ring, degraded, 0},
		"least requests":    {mesh.LeastRequest, list, 60},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t, row.policy, row.list)
			c := client(t, false)
			ours := names(t, c, p.urls[0], 300, noSession)
			theirs := names(t, c, p.urls[1], 300, noSession)
			for _, e := range list {
				require.InDelta(t, theirs[e.Pod], ours[e.Pod], row.within, "%s: Envoy %v, mesh %v", e.Pod, theirs, ours)
			}
		})
	}
}

func TestEnvoyPassesTheSameHeaders(t *testing.T) {
	echo := pod(t, "a", func(w http.ResponseWriter, r *http.Request) {
		h := r.Header.Clone()
		h.Set("Host", r.Host)
		h.Set("Target", r.RequestURI)
		if h.Get("X-Request-Id") != "mine" {
			h.Set("X-Request-Id", strconv.Itoa(len(h.Get("X-Request-Id"))))
		}
		h.Del("X-Envoy-Expected-Rq-Timeout-Ms") // see the package's doc
		_ = h.Write(w)
	})
	p := newPair(t, mesh.Ring, []endpoints.Endpoint{echo})
	for _, request := range []string{
		plainRequest,
		"GET http://b/x?y=%2F HTTP/1.1\nHost: a\n\n",
		"POST /%41%2f?a=b&&c HTTP/1.1\nHost: a\nContent-Length: 2\n\nhi",
		"POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n2\nhi\n0\n\n",
		"GET / HTTP/1.1\nHost: a\nConnection: X-Hop, keep-alive\nX-Hop: 1\nKeep-Alive: 3\nProxy-Connection: x\nTE: trailers\nProxy-Authorization: q\nX-Forwarded-For: 203.0.113.7\nX-Request-Id: mine\nUser-Agent: u\nCookie: a=b\nCookie: c=d\n\n",
		"GET / HTTP/1.1\nHost: a\nX-Forwarded-Proto: https\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\nX-Multi: 1\nX-Multi: 2\n\n",
	} {
		same(t, p, func(url string) seen {
			s := look(t, mesh.Ring, request)(url)
			s.ContentType = ""
			return s
		})
	}
}

func TestEnvoyStreamsTheSame(t *testing.T) {
	p := newPair(t, mesh.Ring, []endpoints.Endpoint{echoLines(t)})
	for _, url := range p.urls {
		talk(t, client(t, true), url)
	}
}
