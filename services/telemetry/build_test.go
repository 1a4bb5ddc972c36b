package telemetry_test

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/version"
)

func TestMetricsSayWhichBuildRuns(t *testing.T) {
	require.NoError(t, testutil.GatherAndCompare(setup(t, io.Discard).Registry, strings.NewReader(fmt.Sprintf(`
# HELP smaran_build_info Always 1: which service this is, of which revision of the repository, built by which Go.
# TYPE smaran_build_info gauge
smaran_build_info{goversion=%q,revision=%q,service="jarvis"} 1
`, runtime.Version(), version.String())), "smaran_build_info"))
}
