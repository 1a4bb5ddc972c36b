package cli_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/cli"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/cluster"
)

func TestAClusterThatIsNotThereIsNamed(t *testing.T) {
	deploy := filepath.Join("..", "..", "..", "deploy")
	config := filepath.Join(t.TempDir(), "config")
	t.Setenv("KUBECONFIG", config)
	var stdout, stderr bytes.Buffer
	out := t.TempDir()
	compare := func(args ...string) error {
		return cli.Run(t.Context(), append([]string{"compare", "--driver", "kubernetes", "--out", out}, args...), &stdout, &stderr)
	}
	require.ErrorIs(t, compare("--context", "kind-nowhere", "--deploy", filepath.Join(t.TempDir(), "nowhere")), os.ErrNotExist)

	err := compare("--deploy", deploy, "--context", "kind-nowhere")
	require.ErrorIs(t, err, cluster.ErrConfig)
	require.ErrorContains(t, err, "kubectl config get-contexts")

	require.NoError(t, os.WriteFile(config, []byte(`{apiVersion: v1, kind: Config, users: [{name: me, user: {}}],
clusters: [{name: here, cluster: {server: "http://127.0.0.1:1"}}], contexts: [{name: here, context: {cluster: here, user: me}}]}`), 0o600))
	require.ErrorIs(t, compare("--deploy", deploy, "--context", "here"), cluster.ErrUnreachable)
	left, err := os.ReadDir(out)
	require.NoError(t, err)
	require.Empty(t, left, "what never began leaves no folder")
}
