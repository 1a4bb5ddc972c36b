package report_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/smaran-v2/smaran/loadtest/internal/report"
)

func TestSaveAndLoad(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out", "run")
	want := syntheticDemo()
	require.NoError(t, report.Save(dir, want))
	got, err := report.Load(filepath.Join(dir, report.JSONFile))
	require.NoError(t, err)
	require.True(t, proto.Equal(want, got))

	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, files, 2, "nothing but the two files is left")
	for _, f := range files {
		info, err := f.Info()
		require.NoError(t, err)
		require.EqualValues(t, 0o644, info.Mode().Perm())
	}
}

func TestTheSameReportIsTheSameFile(t *testing.T) {
	var first, again bytes.Buffer
	require.NoError(t, report.WriteJSON(&first, syntheticDemo()))
	require.NoError(t, report.WriteJSON(&again, syntheticDemo()))
	require.Equal(t, first.String(), again.String())
	require.Contains(t, first.String(), `"schema_version": "report.v1.`)
}

func TestLoadIsStrict(t *testing.T) {
	for name, c := range map[string]struct {
		content string
		want    error
	}{
		"no version":             {`{"run":{"id":"x"}}`, report.ErrSchema},
		"another major":          {`{"schema_version":"report.v2.0"}`, report.ErrSchema},
		"another major, longer":  {`{"schema_version":"report.v10.0"}`, report.ErrSchema},
		"no minor":               {`{"schema_version":"report.v1"}`, report.ErrSchema},
		"another schema":         {`{"schema_version":"1"}`, report.ErrSchema},
		"not JSON":               {`report`, report.ErrFormat},
		"a field of the wrong":   {`{"schema_version":"report.v1.1","results":[{"counts":{"dropped_calls":"many"}}]}`, report.ErrFormat},
		"an unknown field":       {`{"schema_version":"report.v1.1","bananas":1}`, report.ErrFormat},
		"a later minor":          {`{"schema_version":"report.v1.99","bananas":1}`, nil},
		"this one":               {`{"schema_version":"report.v1.1"}`, nil},
		"the JSON name is known": {`{"schemaVersion":"report.v1.0"}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "report.json")
			require.NoError(t, os.WriteFile(path, []byte(c.content), 0o600))
			_, err := report.Load(path)
			require.ErrorIs(t, err, c.want)
			if c.want != nil {
				require.ErrorContains(t, err, path)
			}
		})
	}
	_, err := report.Load(filepath.Join(t.TempDir(), "missing.json"))
	require.ErrorIs(t, err, os.ErrNotExist)
}
