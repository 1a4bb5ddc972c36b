package version

import (
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

// A build can't be made to be one from a repository here; what the go command records of one is given.
func TestWhatTheGoCommandRecorded(t *testing.T) {
	of := func(pairs ...string) *debug.BuildInfo {
		info := &debug.BuildInfo{}
		for i := 0; i < len(pairs); i += 2 {
			info.Settings = append(info.Settings, debug.BuildSetting{Key: pairs[i], Value: pairs[i+1]})
		}
		return info
	}
	require.Equal(t, Unknown, recorded(nil))
	require.Equal(t, Unknown, recorded(of("vcs.modified", "true")))
	require.Equal(t, "abc", recorded(of("vcs.revision", "abc", "vcs.modified", "false")))
	require.Equal(t, "abc-dirty", recorded(of("vcs.revision", "abc", "vcs.modified", "true")))
}
