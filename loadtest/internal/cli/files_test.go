package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/report"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// inTheWay is a path below a file, where nothing can be written.
func inTheWay(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	return filepath.Join(file, "result")
}

func TestAFileThatCannotBeWrittenIsSaidBeforeTheRun(t *testing.T) {
	bad := inTheWay(t)
	for flag, c := range map[string]*runCmd{"--json": {JSON: bad}, "--html": {HTML: bad}, "--hgrm": {HGRM: bad}} {
		err := c.Run(t.Context(), &app{})
		require.ErrorIs(t, err, errUsage, flag)
		require.ErrorContains(t, err, flag+" "+bad)
		require.NotContains(t, err.Error(), "\n")
	}
	require.ErrorIs(t, (&runCmd{HGRM: t.TempDir()}).checkFiles(), errUsage, "a folder is no file")
}

func TestTheCheckLeavesNothingAndSpoilsNothing(t *testing.T) {
	there, fresh := filepath.Join(t.TempDir(), "r.json"), filepath.Join(t.TempDir(), "made", "r.html")
	require.NoError(t, os.WriteFile(there, []byte("of before"), 0o600))
	require.NoError(t, (&runCmd{JSON: there, HTML: fresh}).checkFiles())
	kept, err := os.ReadFile(there)
	require.NoError(t, err)
	require.Equal(t, "of before", string(kept))
	require.NoFileExists(t, fresh)
	require.DirExists(t, filepath.Dir(fresh))
}

// What became of a path while the run went on is no reason to lose what was measured.
func TestAResultIsWrittenWhateverElseCannotBe(t *testing.T) {
	r := &reportv1.Report{SchemaVersion: report.SchemaVersion, Run: &reportv1.Run{Id: "run-1"}}
	var stdout bytes.Buffer
	a := &app{stdout: &stdout}

	good := filepath.Join(t.TempDir(), "r.json")
	c := &runCmd{HGRM: inTheWay(t), JSON: good}
	c.Out = t.TempDir()
	require.ErrorContains(t, c.write(a, r, []byte("latencies")), c.HGRM)
	_, err := report.Load(good)
	require.NoError(t, err)
	require.NoDirExists(t, filepath.Join(c.Out, "run-1"))

	page := filepath.Join(t.TempDir(), "r.html")
	c.HGRM, c.JSON, c.HTML = filepath.Join(t.TempDir(), "r.hgrm"), inTheWay(t), page
	require.ErrorContains(t, c.write(a, r, []byte("latencies")), c.JSON)
	require.FileExists(t, page)
	require.FileExists(t, c.HGRM)
	_, err = report.Load(filepath.Join(c.Out, "run-1", report.JSONFile))
	require.NoError(t, err)
	require.Contains(t, stdout.String(), filepath.Join(c.Out, "run-1"))
}
