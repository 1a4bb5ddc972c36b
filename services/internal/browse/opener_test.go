package browse

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEachSystemHasItsOpener(t *testing.T) {
	for name, tc := range map[string]struct {
		system  string
		environ []string
		want    string
	}{
		"macOS":          {"darwin", nil, "open"},
		"Windows":        {"windows", nil, "rundll32"},
		"X":              {"linux", []string{"DISPLAY=:0"}, "xdg-open"},
		"Wayland":        {"linux", []string{"WAYLAND_DISPLAY=wayland-0"}, "xdg-open"},
		"WSL":            {"linux", []string{"WSL_DISTRO_NAME=Debian"}, "wslview"},
		"the user's own": {"darwin", []string{"BROWSER=firefox"}, "firefox"},
	} {
		got, err := opener(tc.system, tc.environ)
		require.NoError(t, err, name)
		require.Equal(t, tc.want, got[0], name)
	}
	_, err := opener("linux", []string{"DISPLAY=", "BROWSER="})
	require.ErrorIs(t, err, ErrNone)
}
