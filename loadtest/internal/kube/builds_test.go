package kube_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/driver"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/fakecluster"
)

func TestTheClusterSaysWhichBuildRuns(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		f, err := b.driver.Up(t.Context(), driver.Spec{Backend: "istio-hash", Pods: 2})
		require.NoError(t, err)
		s, err := f.Status(t.Context())
		require.NoError(t, err)
		require.NoError(t, f.Down(t.Context()))
		versions := map[string]string{}
		for _, p := range s.GetProcesses() {
			versions[p.GetName()] = p.GetKind() + " " + p.GetVersion()
		}
		require.Contains(t, versions["smaran"], "go "+fakecluster.Revision+" (")
		require.Contains(t, versions["jarvis"], "go "+fakecluster.Revision+" (")
	})
}
