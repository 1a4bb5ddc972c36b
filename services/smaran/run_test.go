package smaran_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/internal/config"
	"github.com/smaran-v2/smaran/services/mesh"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/smaran"
	"github.com/smaran-v2/smaran/services/smaran/backend"
	"github.com/smaran-v2/smaran/services/smaran/internal/podtest"
	"github.com/smaran-v2/smaran/services/wire"
)

func TestMain(m *testing.M) {
	// The driver looks for a Redis that is gone once a second, and notices only then that its client was closed.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

// process is a running smaran.
type process struct {
	api, admin string
	log        *lockedBuffer
	stop       context.CancelFunc
	ended      chan error
}

var serving = regexp.MustCompile(`msg=serving .*address=(\S+) admin=(\S+)`)

// start runs smaran over the fleet until the test ends.
func start(t testing.TB, fleet *podtest.Fleet, environ ...string) *process {
	t.Helper()
	file := filepath.Join(t.TempDir(), "endpoints.json")
	require.NoError(t, endpoints.WriteFile(file, fleet.Current()))
	ctx, stop := context.WithCancel(context.Background())
	p := &process{log: &lockedBuffer{}, stop: stop, ended: make(chan error, 1)}
	go func() {
		p.ended <- smaran.Run(ctx, nil, append([]string{
			"SMARAN_LISTEN=127.0.0.1:0", "SMARAN_ADMIN_LISTEN=127.0.0.1:0", "SMARAN_ENDPOINTS=file://" + file,
		}, environ...), io.Discard, p.log)
		close(p.ended)
	}()
	t.Cleanup(func() { stop(); <-p.ended })
	require.Eventually(t, func() bool { return serving.MatchString(p.log.String()) }, podtest.Wait, podtest.Poll)
	found := serving.FindStringSubmatch(p.log.String())
	p.api, p.admin = "http://"+found[1], "http://"+found[2]
	return p
}

func get(t *testing.T, url string, header http.Header) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	req.Header, req.Close = header, true
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(body)
}

func by(id string) http.Header { return http.Header{session.Header: {id}} }

func TestRunServesUntilItIsStopped(t *testing.T) {
	fleet := podtest.NewFleet(t, 3)
	p := start(t, fleet, "SMARAN_BACKEND=istio-hash", "SMARAN_MESH_URL="+fleet.Mesh(t, "ring"), "SMARAN_SEED=7")
	status, body := get(t, p.api+wire.PathInference, by("s"))
	require.Equal(t, http.StatusOK, status, body)
	require.Contains(t, body, "istio-hash")

	for _, path := range []string{"/healthz", "/readyz"} {
		status, _ := get(t, p.admin+path, nil)
		require.Equal(t, http.StatusOK, status, path)
	}
	_, metrics := get(t, p.admin+"/metrics", nil)
	require.Contains(t, metrics, `smaran_requests_total{backend="istio-hash",code="200",operation="GET /inference"} 1`)

	p.stop()
	require.NoError(t, <-p.ended)
}

func TestRunWithEveryBackend(t *testing.T) {
	fleet := podtest.NewFleet(t, 2)
	for _, name := range backend.Names() {
		t.Run(string(name), func(t *testing.T) {
			policy := "ring"
			if strings.HasPrefix(string(name), "stateful") {
				policy = string(name)
			}
			// There is no Redis at this address: it starts, and serves, nevertheless.
			p := start(t, fleet, "SMARAN_BACKEND="+string(name), "SMARAN_MESH_URL="+fleet.Mesh(t, mesh.Policy(policy)),
				"SMARAN_MESH_POLICY="+policy, "SMARAN_REDIS_ADDR=127.0.0.1:1")
			status, body := get(t, p.api+wire.PathInference, by("s"))
			require.Equal(t, http.StatusOK, status, body)
			degraded := name == backend.Redis || name == backend.RedisPlain
			require.Equal(t, degraded, strings.Contains(strings.ReplaceAll(body, " ", ""), `"degraded":true`), body)
			status, _ = get(t, p.admin+"/readyz", nil)
			require.Equal(t, http.StatusOK, status, "not even readiness depends on Redis")
		})
	}
}

func TestRunFollowsTheEndpoints(t *testing.T) {
	fleet := podtest.NewFleet(t, 1)
	file := filepath.Join(t.TempDir(), "endpoints.json")
	require.NoError(t, endpoints.WriteFile(file, fleet.Current()))
	p := start(t, fleet, "SMARAN_BACKEND=roundrobin", "SMARAN_ENDPOINTS=file://"+file)
	fleet.Add("jarvis-1")
	require.NoError(t, endpoints.WriteFile(file, fleet.Current()))
	require.Eventually(t, func() bool {
		_, body := get(t, p.api+wire.PathInference, by("s"))
		return strings.Contains(body, "jarvis-1")
	}, podtest.Wait, podtest.Poll)
}

func TestRunRefusesWhatItCannotServe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "endpoints.json")
	require.NoError(t, endpoints.WriteFile(file, endpoints.Set{}))
	whole := []string{"SMARAN_LISTEN=127.0.0.1:0", "SMARAN_ADMIN_LISTEN=127.0.0.1:0", "SMARAN_ENDPOINTS=file://" + file, "SMARAN_BACKEND=app-hash"}
	for name, c := range map[string]struct {
		args    []string
		environ []string
		is      error
		says    string
	}{
		"argument":         {args: []string{"serve"}, says: "SMARAN_*"},
		"unknown key":      {environ: []string{"SMARAN_BACKENDS=redis"}, is: config.ErrUnknownKey, says: "SMARAN_BACKEND "},
		"unknown backend":  {environ: []string{"SMARAN_BACKEND=istio"}, is: config.ErrInvalid, says: "istio-hash"},
		"no mesh":          {environ: []string{"SMARAN_BACKEND=istio-hash"}, is: backend.ErrUnconfigured, says: "SMARAN_MESH_URL"},
		"other policy":     {environ: []string{"SMARAN_BACKEND=stateful-header", "SMARAN_MESH_URL=http://127.0.0.1:1"}, is: backend.ErrUnconfigured, says: "stateful-header needs a mesh with policy stateful-header, but its policy is ring"},
		"no redis":         {environ: []string{"SMARAN_BACKEND=redis"}, is: backend.ErrUnconfigured, says: "SMARAN_REDIS_ADDR"},
		"mesh with a path": {environ: []string{"SMARAN_MESH_URL=http://mesh/x"}, is: config.ErrInvalid, says: "MESH_URL"},
		"mesh policy":      {environ: []string{"SMARAN_MESH_POLICY=modulo"}, is: config.ErrInvalid, says: "ring maglev stateful-header"},
		"two at once":      {environ: []string{"SMARAN_MAX_BODY=0", "SMARAN_REDIS_TTL=1ms"}, is: config.ErrInvalid, says: "REDIS_TTL is 1ms, expected 1s or more; MAX_BODY is 0"},
		"keys":             {environ: []string{"SMARAN_TOKEN_KEYS=a:b"}, is: config.ErrInvalid, says: "TOKEN_KEYS"},
		"no relay":         {environ: []string{"SMARAN_TURN_URLS=turn:127.0.0.1", "SMARAN_TURN_SECRET=x"}, says: `TURN_URLS has "turn:127.0.0.1", expected such as turn:127.0.0.1:3478?transport=udp`},
		"another server":   {environ: []string{"SMARAN_TURN_URLS=stun:127.0.0.1:3478", "SMARAN_TURN_SECRET=x"}, says: "TURN_URLS has"},
		"no secret":        {environ: []string{"SMARAN_TURN_URLS=turn:127.0.0.1:3478?transport=udp,turns:relay.example:5349?transport=tcp"}, says: "without TURN_SECRET"},
		"short key":        {environ: []string{"SMARAN_TOKEN_KEYS=a:YQ=="}, says: "expected 32"},
		"no endpoints":     {environ: []string{"SMARAN_ENDPOINTS=file://" + file + ".missing"}, says: "must exist at the start"},
		"log level":        {environ: []string{"SMARAN_LOG_LEVEL=loud"}, says: "loud"},
	} {
		t.Run(name, func(t *testing.T) {
			err := smaran.Run(t.Context(), c.args, append(append([]string{}, whole...), c.environ...), io.Discard, io.Discard)
			require.ErrorContains(t, err, c.says)
			require.NotContains(t, err.Error(), "\n", "one line")
			if c.is != nil {
				require.ErrorIs(t, err, c.is)
			}
		})
	}
	err := smaran.Run(t.Context(), nil, nil, io.Discard, io.Discard)
	require.ErrorContains(t, err, "ENDPOINTS")
}

func TestPagesMayBeKeptOut(t *testing.T) {
	fleet := podtest.NewFleet(t, 1)
	for origins, want := range map[string]string{"*": "*", "none": ""} {
		p := start(t, fleet, "SMARAN_BACKEND=app-hash", "SMARAN_CORS_ORIGINS="+origins)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.api+wire.PathFleet, nil)
		require.NoError(t, err)
		req.Header.Set("Origin", "https://talk.example")
		req.Close = true
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, want, res.Header.Get("Access-Control-Allow-Origin"), origins)
	}
}

func TestATakenPortIsReported(t *testing.T) {
	fleet := podtest.NewFleet(t, 1)
	p := start(t, fleet, "SMARAN_BACKEND=app-hash")
	file := filepath.Join(t.TempDir(), "endpoints.json")
	require.NoError(t, endpoints.WriteFile(file, fleet.Current()))
	err := smaran.Run(t.Context(), nil, []string{
		"SMARAN_LISTEN=127.0.0.1:0", "SMARAN_ADMIN_LISTEN=" + strings.TrimPrefix(p.admin, "http://"), "SMARAN_ENDPOINTS=file://" + file,
		"SMARAN_BACKEND=app-hash",
	}, io.Discard, io.Discard)
	require.ErrorContains(t, err, strings.TrimPrefix(p.admin, "http://"))
}

func TestRunSaysWhatToTry(t *testing.T) {
	fleet := podtest.NewFleet(t, 1)
	p := start(t, fleet, "SMARAN_BACKEND=app-hash", "SMARAN_PUBLIC_URL=http://192.0.2.1:8080")
	require.Contains(t, p.log.String(), "curl -H 'x-call-session-id: room-42' http://192.0.2.1:8080/inference")
	require.NotContains(t, start(t, fleet, "SMARAN_BACKEND=app-hash").log.String(), "curl")
}

func TestRandomKeysAreReported(t *testing.T) {
	fleet := podtest.NewFleet(t, 1)
	p := start(t, fleet, "SMARAN_BACKEND=stateful-header", "SMARAN_MESH_URL="+fleet.Mesh(t, "stateful-header"), "SMARAN_MESH_POLICY=stateful-header")
	require.Contains(t, p.log.String(), "SMARAN_TOKEN_KEYS", "tokens that end with the process are worth a word")
}

// lockedBuffer is what a process writes, read meanwhile.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
