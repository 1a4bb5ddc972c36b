package testreal

import (
	"net/http"
	"path/filepath"
	"testing"
)

// StartPrometheus starts a Prometheus with the configuration dir/prometheus.yml and what deploy/ gives it on its command line, on a free port of
// this machine, and returns its "host:port" once it answers queries. dir is below os.TempDir(). Prometheus ends with the test.
func StartPrometheus(t testing.TB, dir string) (addr string) {
	t.Helper()
	for range startAttempts {
		addr = freeAddress(t)
		p := runOnHost(t, prometheusName,
			"--config.file="+filepath.Join(dir, "prometheus.yml"),
			"--storage.tsdb.path="+t.TempDir(),
			"--web.listen-address="+addr,
			"--enable-feature=exemplar-storage",
			"--log.level=warn")
		if p.await(t, func() bool { return prometheusReady(t, addr) }) {
			return addr
		}
		t.Logf("prometheus ended at once; its output:\n%s", p.output)
	}
	t.Fatalf("prometheus ended at once, %d times", startAttempts)
	return ""
}

func prometheusReady(t testing.TB, addr string) bool {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/-/ready", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true // leaves no connection behind for goleak to find
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// Promtool runs promtool to its end, and returns what it wrote. Files that it is given are below os.TempDir(). Whether it found fault is
// in what it wrote: it says SUCCESS or FAILED of each file.
func Promtool(t testing.TB, args ...string) string {
	t.Helper()
	p := runOnHost(t, promtoolName, args...)
	p.await(t, func() bool { return false })
	return p.output.String()
}

// runOnHost starts one of Prometheus' programs, in a container where this machine has none.
func runOnHost(t testing.TB, name string, args ...string) *process {
	t.Helper()
	if path, ok := Lookup(t, name); ok {
		return start(t, name, path, args...)
	}
	p, _ := startContainer(t, inContainer{program: name, image: "PROMETHEUS_IMAGE", args: args, onHost: true})
	return p
}
