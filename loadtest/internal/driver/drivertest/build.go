package drivertest

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Build builds the programs of modules, such as "services", into a folder. root is the repository's, seen from the test.
func Build(t testing.TB, root, into string, modules ...string) {
	t.Helper()
	for _, module := range modules {
		build := exec.CommandContext(t.Context(), "go", "build", "-o", into+string(filepath.Separator), "./cmd/...")
		build.Dir = filepath.Join(root, module)
		out, err := build.CombinedOutput()
		require.NoError(t, err, string(out))
	}
}

// Fleet builds what a fleet of this machine is made of, and returns the path of bin/fleet.
func Fleet(t testing.TB, root string) string {
	t.Helper()
	dir := t.TempDir()
	Build(t, root, dir, "services")
	return filepath.Join(dir, "fleet")
}
