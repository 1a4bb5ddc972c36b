//go:build unix

package browse_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/internal/browse"
)

const page = "http://127.0.0.1:7080/#token=a b&c"

// fake is a program that keeps what it was given in a file.
func fake(t *testing.T, name string) (dir string, opened func() string) {
	t.Helper()
	dir = t.TempDir()
	said := filepath.Join(dir, "said")
	script := "#!/bin/sh\nprintf '%s|' \"$@\" >'" + said + ".part'\nmv '" + said + ".part' '" + said + "'\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755))
	return dir, func() string {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		for {
			if b, err := os.ReadFile(said); err == nil {
				return string(b)
			}
			select {
			case <-ctx.Done():
				require.Fail(t, "nothing was opened")
			case <-time.After(5 * time.Millisecond):
			}
		}
	}
}

func TestTheUsersOwnBrowserIsTaken(t *testing.T) {
	dir, opened := fake(t, "mine")
	require.NoError(t, browse.Open([]string{"PATH=/usr/bin:/bin", "BROWSER=" + filepath.Join(dir, "mine")}, page))
	require.Equal(t, page+"|", opened(), "as one argument")
}

func TestABrowserThatIsNotThereIsNone(t *testing.T) {
	require.ErrorIs(t, browse.Open([]string{"BROWSER=" + filepath.Join(t.TempDir(), "gone")}, page), browse.ErrNone)
}
