package recording_test

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/stage/recording"
)

const (
	first  = `{"whole":true,"atMs":5}` + "\n"
	second = `{"atMs":2005.5,"pods":[{"lane":"a","name":"jarvis-0"}]}` + "\n"
)

func TestReadTakesARecording(t *testing.T) {
	r, err := recording.Read(strings.NewReader(line(t, header()) + first + second))
	require.NoError(t, err)
	require.Equal(t, header(), r.Header)
	require.Empty(t, r.Notice)
	require.Equal(t, 5*time.Millisecond, r.Start())
	require.Equal(t, 2005500*time.Microsecond, r.Length())
}

func TestReadRefusesWhatIsNone(t *testing.T) {
	h := line(t, header())
	without := func(change func(*recording.Header)) string {
		h := header()
		change(&h)
		return line(t, h) + first
	}
	for name, tc := range map[string]struct{ text, says string }{
		"nothing":          {"", "empty"},
		"a page":           {"<!doctype html>\n", "line 1"},
		"a frame":          {first, "line 1"},
		"half a header":    {h[:20], "line 1"},
		"a later schema":   {strings.Replace(h, "recording/1", "recording/2", 1) + first, "recording/2"},
		"unknown member":   {strings.Replace(h, `{"schema"`, `{"cause":"x","schema"`, 1) + first, "cause"},
		"two headers":      {strings.TrimSuffix(h, "\n") + h + first, "line 1"},
		"no machine":       {without(func(h *recording.Header) { h.Machine = "" }), "where"},
		"no command":       {without(func(h *recording.Header) { h.Command = "" }), "command"},
		"no time":          {without(func(h *recording.Header) { h.Recorded = time.Time{} }), "when"},
		"no frame":         {h, "no frame"},
		"only half a one":  {h + first[:10], "no frame"},
		"not whole":        {h + second, "line 2: the first frame is not whole"},
		"unknown in frame": {h + first + `{"atMs":9,"mood":"good"}` + "\n" + second, "line 3"},
		"broken inside":    {h + first + `{"atMs":` + "\n" + second, "line 3"},
		"back in time":     {h + first + second + first, "line 4"},
		"before 0":         {h + `{"whole":true,"atMs":-1}` + "\n", "line 2"},
		"no time at all":   {h + `{"whole":true,"atMs":"NaN"}` + "\n", "line 2"},
		"no end of time":   {h + `{"whole":true,"atMs":1e300}` + "\n", "line 2"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := recording.Read(strings.NewReader(tc.text))
			require.ErrorIs(t, err, recording.ErrFormat)
			require.ErrorContains(t, err, tc.says)
		})
	}
}

func TestReadRefusesALineWithoutAnEnd(t *testing.T) {
	_, err := recording.Read(strings.NewReader(line(t, header()) + first + strings.Repeat(" ", 17<<20)))
	require.ErrorIs(t, err, recording.ErrTooLarge)
	require.ErrorContains(t, err, "line 3")
}

func TestWhatWasCutOffIsPlayedUpToThere(t *testing.T) {
	text := line(t, header()) + first + second
	r, err := recording.Read(strings.NewReader(text + `{"atMs":`))
	require.NoError(t, err)
	require.Contains(t, r.Notice, "line 4")
	require.Contains(t, r.Notice, "2.0 s")
	require.Equal(t, 2005500*time.Microsecond, r.Length())

	r, err = recording.Read(strings.NewReader(strings.TrimSuffix(text, "\n")))
	require.NoError(t, err, "nothing but the end of the line is missing")
	require.Empty(t, r.Notice)
	require.Equal(t, 2005500*time.Microsecond, r.Length())
}

func TestOpenTakesCompressedFiles(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := z.Write([]byte(line(t, header()) + first))
	require.NoError(t, err)
	require.NoError(t, z.Flush())
	whole := packed.Len()
	_, err = z.Write([]byte(second))
	require.NoError(t, err)
	require.NoError(t, z.Close())

	write := func(name string, b []byte) string {
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(path, b, 0o600))
		return path
	}
	r, err := recording.Open(write("a.jsonl.gz", packed.Bytes()))
	require.NoError(t, err)
	require.Empty(t, r.Notice)
	require.Equal(t, 2005500*time.Microsecond, r.Length())

	// Its writer was killed.
	r, err = recording.Open(write("cut.gz", packed.Bytes()[:whole+3]))
	require.NoError(t, err)
	require.NotEmpty(t, r.Notice)
	require.Equal(t, 5*time.Millisecond, r.Length())

	_, err = recording.Open(write("plain.gz", []byte(line(t, header())+first)))
	require.ErrorIs(t, err, recording.ErrFormat)
	_, err = recording.Open(write("packed", packed.Bytes()))
	require.ErrorIs(t, err, recording.ErrFormat)
	_, err = recording.Open(filepath.Join(t.TempDir(), "gone"))
	require.ErrorIs(t, err, os.ErrNotExist)
}
