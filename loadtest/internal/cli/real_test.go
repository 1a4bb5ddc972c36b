package cli_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/cli"
	"github.com/smaran-v2/smaran/loadtest/internal/driver"
	"github.com/smaran-v2/smaran/loadtest/internal/driver/drivertest"
	"github.com/smaran-v2/smaran/loadtest/internal/report"
)

// root is the repository's.
var root = filepath.Join("..", "..", "..")

// TestARunAgainstTheRealFleet puts real calls on real pods and scales them. It looks at what must hold on any machine, however
// busy: where sessions went, not how long it took.
func TestARunAgainstTheRealFleet(t *testing.T) {
	dir := t.TempDir()
	json, html, hgrm := filepath.Join(dir, "r.json"), filepath.Join(dir, "r.html"), filepath.Join(dir, "r.hgrm")
	var stdout, stderr bytes.Buffer
	runErr := cli.Run(t.Context(), []string{
		"run", "--fleet", drivertest.Fleet(t, root), "--out", filepath.Join(dir, "out"), "--backend", "istio-hash", "--redis", "embedded",
		"--calls", "6", "--rate", "6", "--warmup", "2s", "--duration", "8s", "--event", "2s:scale=5", "--watchdog", "5s",
		"--json", json, "--html", html, "--hgrm", hgrm, "--threshold", "mispredicted_sessions==0",
	}, &stdout, &stderr)
	r, err := report.Load(json)
	require.NoError(t, err, "%v\n%s", runErr, stderr.String())
	require.Len(t, r.GetResults(), 1)
	result := r.GetResults()[0]
	if result.GetValid() {
		require.NoError(t, runErr)
	} else { // only a generator that was starved may make it so
		for _, why := range result.GetInvalidReasons() {
			require.Contains(t, why, "the generator")
		}
	}
	require.True(t, result.GetThresholds()[0].GetPassed(), result.GetThresholds()[0].GetFound())
	require.EqualValues(t, 6, result.GetLoad().GetCalls())
	require.NotZero(t, result.GetLoad().GetRequests())
	require.Zero(t, result.GetCounts()["requests_failed"], result.GetErrors())
	require.Zero(t, result.GetCounts()["setup_failures"])
	require.NotZero(t, result.GetHistograms()["gap_ms"].GetCount(), "media came")
	e := result.GetEvents()[0]
	require.EqualValues(t, 6, e.GetObservedSessions())
	require.Equal(t, e.GetPredictedMoved(), e.GetMovedSessions())
	require.NotZero(t, e.GetMovedSessions(), "this seed moves some")
	require.Equal(t, "400 session_missing", result.GetSettings()["no_header_answer"])

	require.Contains(t, stdout.String(), "istio-hash")
	for _, file := range []string{html, hgrm} {
		info, err := os.Stat(file)
		require.NoError(t, err)
		require.NotZero(t, info.Size())
	}
	left, err := os.ReadDir(filepath.Join(dir, "out"))
	if err == nil {
		require.Empty(t, left, "nothing of the fleet is left behind")
	}
}

func TestTheLocalDriverKeepsWhatADriverHasToKeep(t *testing.T) {
	program := drivertest.Fleet(t, root)
	for _, part := range drivertest.Parts() {
		t.Run(part.Name, func(t *testing.T) {
			part.Run(t, drivertest.Case{Driver: &driver.Local{Program: program, Dir: t.TempDir()}, Within: time.Minute})
		})
	}
}
