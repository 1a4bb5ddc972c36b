package kube_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/driver"
)

func TestTheStatusSaysWhichImageRuns(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		f, err := b.driver.Up(t.Context(), driver.Spec{Backend: "istio-hash", Pods: 1})
		require.NoError(t, err)
		s, err := f.Status(t.Context())
		require.NoError(t, err)
		require.NoError(t, f.Down(t.Context()))
		versions := map[string]string{}
		for _, p := range s.GetProcesses() {
			versions[p.GetName()] = p.GetVersion()
		}
		require.Equal(t, "smaran-v2/smaran:dev@0123456789ab", versions["smaran"])
		require.Regexp(t, `^[0-9.]+$`, versions["redis"], "a pinned one, by its tag")
	})
}
