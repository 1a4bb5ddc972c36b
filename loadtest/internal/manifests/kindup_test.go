package manifests_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// bench is a PATH of stand-ins for the programs that scripts/kind-up calls: they say their version, note what they are asked to change,
// and change nothing. No other kind or istioctl of this machine is on it.
type bench struct{ dir string }

func newBench(t *testing.T, versions map[string]string) bench {
	t.Helper()
	b := bench{t.TempDir()}
	for _, tool := range []string{"awk", "bash", "cat", "dirname", "grep", "head", "sort"} {
		path, err := exec.LookPath(tool)
		if err != nil {
			reason := fmt.Sprintf("SKIP-REASON: %s not found, which scripts/kind-up needs: install it", tool)
			if os.Getenv("CI") == "true" {
				t.Fatal(reason)
			}
			t.Skip(reason)
		}
		require.NoError(t, os.Symlink(path, filepath.Join(b.dir, tool)))
	}
	for program, version := range versions {
		script := fmt.Sprintf("#!/bin/sh\ncase \"$*\" in\n*version*) echo '%s' ;;\n'get clusters' | info) ;;\n'image inspect'*) exit 1 ;;\n*) echo \"%s $*\" >>'%s' ;;\nesac\n",
			version, program, b.log())
		require.NoError(t, os.WriteFile(filepath.Join(b.dir, program), []byte(script), 0o755))
	}
	return b
}

func (b bench) log() string { return filepath.Join(b.dir, "changes") }

// run returns what kind-up printed, and what it had changed.
func (b bench) run(t *testing.T, args ...string) (printed, changes string, err error) {
	t.Helper()
	command := exec.CommandContext(t.Context(), filepath.Join(b.dir, "bash"), append([]string{"../scripts/kind-up"}, args...)...)
	command.Dir = deploy // what the caller names is seen from there
	command.Env = []string{"PATH=" + b.dir}
	out, err := command.CombinedOutput()
	done, readErr := os.ReadFile(b.log())
	if readErr != nil {
		require.ErrorIs(t, readErr, os.ErrNotExist)
	}
	return string(out), string(done), err
}

// current are versions that kind-up takes.
func current(change ...string) map[string]string {
	versions := map[string]string{
		"docker": "28.0", "kind": "kind v0.33.0 go1.26 linux/amd64", "kubectl": "Client Version: v1.34.4", "istioctl": "client version: 1.31.1",
	}
	for i := 0; i < len(change); i += 2 {
		versions[change[i]] = change[i+1]
	}
	return versions
}

func TestKindUpMakesAClusterAndInstallsIstio(t *testing.T) {
	printed, changes, err := newBench(t, current()).run(t, "--name", "other", "--node-image", "node:1", "--istio-hub", "hub", "--istio-tag", "1.31.1-x",
		"--istio-file", "istio/cni.yaml")
	require.NoError(t, err, printed)
	here, err := filepath.Abs(deploy)
	require.NoError(t, err)
	require.Contains(t, changes, "kind create cluster --name other --config deploy/kind/cluster.yaml --image node:1 --wait 180s\n")
	require.Contains(t, changes, "istioctl install --skip-confirmation --context kind-other --filename deploy/istio/operator.yaml"+
		" --filename "+here+"/istio/cni.yaml --set hub=hub --set tag=1.31.1-x\n")
	require.Contains(t, printed, "kubectl --context kind-other apply -k deploy/overlays/istio-hash")
}

func TestKindUpChecksBeforeItChanges(t *testing.T) {
	without := func(program string) map[string]string {
		versions := current()
		delete(versions, program)
		return versions
	}
	for name, c := range map[string]struct {
		versions map[string]string
		args     []string
		want     string
	}{
		"kind is missing":                   {without("kind"), nil, "go install sigs.k8s.io/kind@v"},
		"istioctl is missing":               {without("istioctl"), nil, "ISTIO_VERSION=1."},
		"an old kind":                       {current("kind", "kind v0.9.0 go1.15 linux/amd64"), nil, "kind is v0.9.0, expected v0."},
		"an old kubectl":                    {current("kubectl", "Client Version: v1.9.3"), nil, "kubectl is v1.9.3, expected v1."},
		"an old Istio":                      {current("istioctl", "client version: 1.9.0"), nil, "Istio is 1.9.0, expected 1."},
		"the Istio that starves pods":       {current("istioctl", "client version: 1.30.0"), nil, "leaves new pods without traffic"},
		"the same by its tag":               {current(), []string{"--istio-tag", "1.30.0-distroless"}, "leaves new pods without traffic"},
		"an istioctl that knows no version": {current("istioctl", "client version: unknown"), nil, "--istio-hub HUB --istio-tag TAG"},
		"an operator file that is not":      {current(), []string{"--istio-file", "no-such.yaml"}, "/deploy/no-such.yaml"},
		"an option that is not":             {current(), []string{"--nodes", "3"}, "unknown option --nodes"},
		"an option without its value":       {current(), []string{"--name"}, "--name needs a value"},
	} {
		t.Run(name, func(t *testing.T) {
			printed, changes, err := newBench(t, c.versions).run(t, c.args...)
			require.Error(t, err)
			require.Contains(t, printed, c.want)
			require.Empty(t, strings.TrimSpace(changes))
		})
	}
}
