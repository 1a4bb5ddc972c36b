package testreal

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Envoy is a running Envoy.
type Envoy struct {
	// AdminAddr is the admin interface's "ip:port".
	AdminAddr string
	// PID is its process, for measurements of what it costs. In a container it is the engine's machine that knows it.
	PID int
}

// StartEnvoy starts an Envoy with one worker from a bootstrap in YAML or JSON, and returns once it is ready. The admin
// interface is added to the bootstrap, on a free port of 127.0.0.1. Give listeners port 0 as well and ask Listener
// where they are. Files that the bootstrap names are in t.TempDir(). Envoy ends with the test.
func StartEnvoy(t testing.TB, bootstrapYAML string) *Envoy {
	t.Helper()
	adminPath := filepath.Join(t.TempDir(), "admin")
	p := runEnvoy(t,
		"--config-path", bootstrapFile(t, bootstrapYAML),
		"--config-yaml", `{"admin":{"address":{"socket_address":{"address":"127.0.0.1","port_value":0}}}}`,
		"--admin-address-path", adminPath,
		"--concurrency", "1",
		// Hot restart takes shared memory by a number that other Envoys on the machine use too.
		"--disable-hot-restart",
		"--log-level", "error")
	e := &Envoy{PID: p.pid}
	ready := p.await(t, func() bool {
		// The file appears empty, then gets its line.
		admin, err := os.ReadFile(adminPath)
		if err != nil || len(admin) == 0 {
			return false
		}
		e.AdminAddr = strings.TrimSpace(string(admin))
		return e.ready(t)
	})
	if !ready {
		t.Fatalf("envoy ended before it was ready; its output:\n%s", p.output)
	}
	return e
}

// ValidateEnvoy fails the test unless Envoy takes the bootstrap, in YAML or JSON. Nothing is served.
func ValidateEnvoy(t testing.TB, bootstrapYAML string) {
	t.Helper()
	p := runEnvoy(t, "--mode", "validate", "--config-path", bootstrapFile(t, bootstrapYAML), "--log-level", "error")
	p.await(t, func() bool { return false })
	if said := p.output.String(); !strings.HasSuffix(strings.TrimSpace(said), "OK") {
		t.Fatalf("envoy refuses the bootstrap:\n%s", said)
	}
}

func runEnvoy(t testing.TB, args ...string) *process {
	t.Helper()
	if path, ok := Lookup(t, envoyName); ok {
		return start(t, envoyName, path, args...)
	}
	p, _ := startContainer(t, inContainer{program: envoyName, image: "ENVOY_IMAGE", args: args, onHost: true})
	return p
}

func bootstrapFile(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bootstrap.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Listener returns the "ip:port" of the listener called name, which fails the test if Envoy has none.
func (e *Envoy) Listener(t testing.TB, name string) string {
	t.Helper()
	addr, ok := e.Listeners(t)[name]
	if !ok {
		t.Fatalf("envoy has no listener %q", name)
	}
	return addr
}

// Listeners returns the "ip:port" of every listener by its name.
func (e *Envoy) Listeners(t testing.TB) map[string]string {
	t.Helper()
	res := e.get(t, "/listeners?format=json")
	if res == nil {
		t.Fatal("envoy's admin interface does not answer")
	}
	defer res.Body.Close()
	var body struct {
		Statuses []struct {
			Name  string `json:"name"`
			Local struct {
				Socket struct {
					Address string `json:"address"`
					Port    int    `json:"port_value"`
				} `json:"socket_address"`
			} `json:"local_address"`
		} `json:"listener_statuses"`
	}
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil {
		t.Fatalf("envoy's listeners: %v", err)
	}
	out := make(map[string]string, len(body.Statuses))
	for _, s := range body.Statuses {
		out[s.Name] = net.JoinHostPort(s.Local.Socket.Address, strconv.Itoa(s.Local.Socket.Port))
	}
	return out
}

func (e *Envoy) ready(t testing.TB) bool {
	res := e.get(t, "/ready")
	if res == nil {
		return false
	}
	defer res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// get asks the admin interface; nil means no answer.
func (e *Envoy) get(t testing.TB, path string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+e.AdminAddr+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true // leaves no connection behind for goleak to find
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil
	}
	return res
}
