package compose_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/compose"
)

// podsOfFile is how many pods the file has.
const podsOfFile = 5

// world is an engine with the project's containers: what they would serve on this machine is served here while they run.
type world struct {
	*daemon
	t      *testing.T
	ports  map[string]string // published port by service and target
	policy string

	mu   sync.Mutex
	sick map[string]bool // pods whose health check fails
	slow time.Duration   // that Envoy takes to say which pods it has
	// revisions that smaran and the pods say they were built from; "" is not a word of it
	smaranRevision, podRevision string
}

// newWorld writes the file and serves until the test ends.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{daemon: &daemon{dir: t.TempDir()}, t: t, ports: map[string]string{}, policy: `"lb_policy":"RING_HASH"`, sick: map[string]bool{}}
	services := map[string]any{"redis": map[string]any{}}
	var held []net.Listener
	publish := func(service string, target int) map[string]any {
		key := fmt.Sprintf("%s:%d", service, target)
		port, l := holdPort(t)
		held = append(held, l) // else the next one may get the same port
		w.ports[key] = port
		return map[string]any{"host_ip": "127.0.0.1", "target": target, "published": w.ports[key], "protocol": "tcp"}
	}
	services["smaran"] = map[string]any{"ports": []any{publish("smaran", 8080), publish("smaran", 9090)}}
	services["envoy"] = map[string]any{"ports": []any{publish("envoy", 9091)}}
	for n := range podsOfFile {
		name := fmt.Sprintf("jarvis-%d", n+1)
		pod := map[string]any{
			"networks": map[string]any{"pods": map[string]any{"ipv4_address": fmt.Sprintf("10.9.8.%d", 11+n)}},
			"ports":    []any{publish(name, 9090)},
		}
		if n >= 3 {
			pod["profiles"] = []string{"ten"}
		}
		services[name] = pod
	}
	for _, l := range held {
		require.NoError(t, l.Close())
	}
	raw, err := json.Marshal(map[string]any{"name": "smaran", "services": services})
	require.NoError(t, err)
	w.write(configFile, string(raw))
	w.serve()
	return w
}

func freePort(t *testing.T) string {
	t.Helper()
	port, held := holdPort(t)
	require.NoError(t, held.Close())
	return port
}

// holdPort takes a port that is nobody else's until its listener is closed.
func holdPort(t *testing.T) (port string, held net.Listener) {
	t.Helper()
	held, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, port, err = net.SplitHostPort(held.Addr().String())
	require.NoError(t, err)
	return port, held
}

func (w *world) running(service string) bool { return w.read(containerPrefix+service) == runs }

// serve listens for each container while it runs.
func (w *world) serve() {
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for key, port := range w.ports {
		service, _, _ := strings.Cut(key, ":")
		handler := map[string]http.HandlerFunc{
			"smaran:8080": w.fleet, "smaran:9090": w.admin, "envoy:9091": w.envoy,
		}[key]
		if handler == nil {
			handler = w.podAdmin
		}
		all.Go(func() {
			tick := time.NewTicker(2 * time.Millisecond)
			defer tick.Stop()
			var server *http.Server
			for ctx.Err() == nil {
				switch running := w.running(service); {
				case running && server == nil:
					if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
						server = &http.Server{Handler: handler}
						all.Go(func() { _ = server.Serve(l) })
					}
				case !running && server != nil:
					_ = server.Close()
					server = nil
				}
				select {
				case <-tick.C:
				case <-ctx.Done():
				}
			}
			if server != nil {
				_ = server.Close()
			}
		})
	}
	w.t.Cleanup(func() { stop(); all.Wait() })
}

// revise has smaran and the pods say that they were built from revisions.
func (w *world) revise(smaran, pods string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.smaranRevision, w.podRevision = smaran, pods
}

func (w *world) admin(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	revision := w.smaranRevision
	w.mu.Unlock()
	says(revision)(rw, r)
}

func (w *world) podAdmin(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	revision := w.podRevision
	w.mu.Unlock()
	says(revision)(rw, r)
}

// envoy is its admin interface: it has the pods that run.
func (w *world) envoy(rw http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/server_info":
		fmt.Fprint(rw, `{"version":"0123abc/1.39.3/Clean/RELEASE/BoringSSL"}`)
	case "/config_dump":
		fmt.Fprintf(rw, `{"configs":[{"cluster":{"name":"jarvis",%s}}]}`, w.policy)
	case "/clusters":
		w.mu.Lock()
		slow := w.slow
		w.mu.Unlock()
		<-time.After(slow)
		var hosts []string
		for n := range podsOfFile {
			if name := fmt.Sprintf("jarvis-%d", n+1); w.running(name) {
				hosts = append(hosts, fmt.Sprintf(`{"address":{"socket_address":{"address":"10.9.8.%d","port_value":8080}},
					"health_status":{"eds_health_status":"HEALTHY","failed_active_health_check":%t},"unknown_field":1}`, 11+n, w.isSick(name)))
			}
		}
		fmt.Fprintf(rw, `{"cluster_statuses":[{"name":"other"},{"name":"jarvis","host_statuses":[%s]}]}`, strings.Join(hosts, ","))
	}
}

// fleet is smaran's answer: the pods that run and are well.
func (w *world) fleet(rw http.ResponseWriter, _ *http.Request) {
	var pods []string
	for n := range podsOfFile {
		if name := fmt.Sprintf("jarvis-%d", n+1); w.running(name) && !w.isSick(name) {
			pods = append(pods, fmt.Sprintf(`{"pod":%q,"state":"POD_STATE_READY"}`, name))
		}
	}
	fmt.Fprintf(rw, `{"backend":"istio-hash","pods":[%s]}`, strings.Join(pods, ","))
}

func (w *world) isSick(pod string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sick[pod]
}

func (w *world) setSick(pod string, sick bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sick[pod] = sick
}

func (w *world) setSlow(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.slow = d
}

// driver is one whose docker is this world's.
func (w *world) driver() *compose.Driver {
	w.t.Setenv(worldVariable, w.dir)
	w.t.Setenv("GORACE", "atexit_sleep_ms=0") // the race detector ends a program a second late, and here a program is a docker command
	self, err := os.Executable()
	require.NoError(w.t, err)
	return compose.New(compose.Options{Docker: self, Clock: clockwork.NewRealClock(), Log: slog.New(slog.DiscardHandler)})
}

// calls are the commands so far that begin so.
func (w *world) calls(prefix string) []string {
	var out []string
	for line := range strings.Lines(w.read(callsFile)) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, prefix) {
			out = append(out, line)
		}
	}
	return out
}

// environOf is the environment of the last command that began so.
func (w *world) environOf(command string) []string {
	return strings.Split(w.read(environFile+command), "\n")
}

// put makes the world's file say something.
func (w *world) put(name, text string) {
	require.NoError(w.t, os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600))
}
