package fleet_test

import (
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/smaran-v2/smaran/services/run"
)

// This test binary is also every program of the fleet, under the names that newBinDir links to it.
func TestMain(m *testing.M) {
	if program, ok := doubles()[filepath.Base(os.Args[0])]; ok {
		run.Main(program)
	}
	goleak.VerifyTestMain(m)
}
