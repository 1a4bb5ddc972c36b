package node_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/kube/node"
)

func TestASignalGoesThroughTheNodesEngine(t *testing.T) {
	var ran []string
	k := node.Kind{Run: func(_ context.Context, name string, args ...string) ([]byte, error) {
		ran = append([]string{name}, args...)
		return nil, nil
	}}
	c := node.Container{Node: "smaran-worker", ProviderID: "kind://podman/smaran/smaran-worker", ID: "containerd://abc"}
	require.NoError(t, k.Signal(t.Context(), c, node.Stop))
	require.Equal(t, []string{"podman", "exec", "smaran-worker", "sh", "-ec"}, ran[:5])
	require.Equal(t, []string{"sh", "STOP", "abc"}, ran[6:])
}

func TestWhatIsNoKindClusterIsRefused(t *testing.T) {
	k := node.Kind{Run: func(context.Context, string, ...string) ([]byte, error) {
		t.Error("nothing is to be run")
		return nil, nil
	}}
	for _, c := range []node.Container{
		{Node: "ip-10-0-0-1", ProviderID: "aws:///eu-central-1a/i-0123", ID: "containerd://abc"},
		{Node: "n", ID: "containerd://abc"},
		{Node: "n", ProviderID: "kind://lima/smaran/n", ID: "containerd://abc"},
		{Node: "n", ProviderID: "kind://docker/smaran/n"},
	} {
		require.ErrorIs(t, k.Signal(t.Context(), c, node.Kill), node.ErrNode)
	}
}

func TestWhatTheNodeSaysIsInTheError(t *testing.T) {
	k := node.Kind{Run: func(context.Context, string, ...string) ([]byte, error) {
		return []byte("no such container\n"), errors.New("exit status 1")
	}}
	err := k.Signal(t.Context(), node.Container{ProviderID: "kind://docker/smaran/n", ID: "containerd://abc"}, node.Kill)
	require.ErrorIs(t, err, node.ErrNode)
	require.ErrorContains(t, err, "no such container")
}
