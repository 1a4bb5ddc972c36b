package node_test

import (
	"context"
	"os/exec"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/kube/node"
)

// TestTheNodesShellUnderstands runs here what is run on nodes: there is no such container, and it says so.
func TestTheNodesShellUnderstands(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("SKIP-REASON: nodes run Linux")
	}
	k := node.Kind{Run: func(ctx context.Context, _ string, args ...string) ([]byte, error) {
		return exec.CommandContext(ctx, args[2], args[3:]...).CombinedOutput()
	}}
	const id = "0123456789abcdef-no-such-container"
	err := k.Signal(t.Context(), node.Container{ProviderID: "kind://docker/smaran/n", ID: "containerd://" + id}, node.Kill)
	require.ErrorIs(t, err, node.ErrNode)
	require.ErrorContains(t, err, "no process of container "+id)
}
