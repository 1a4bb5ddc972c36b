package cli

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
	"github.com/smaran-v2/smaran/services/version"
)

func TestImagesOfTwoRevisionsMakeARunInvalid(t *testing.T) {
	specs, err := compareFlags().specs()
	require.NoError(t, err)
	for anew, valid := range map[string]bool{"scripts/images": false, "": true} {
		mixed := good(specs[0])
		mixed.Settings = map[string]string{"smaran": "go v1", "jarvis": "go v0", "generator": version.Unknown}
		s := &script{on: map[int]func() (*reportv1.Result, error){0: func() (*reportv1.Result, error) { return mixed, nil }}}
		results, err := (&batch{runner: s, progress: newProgress(&bytes.Buffer{}), anew: anew}).run(t.Context(), specs[:1])
		require.NoError(t, err)
		require.Equal(t, valid, results[0].GetValid())
		if !valid {
			require.Contains(t, results[0].GetInvalidReasons()[0], "jarvis v0")
			require.Contains(t, results[0].GetInvalidReasons()[0], anew)
		}
	}
}
