package manifests_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/manifests"
)

func TestRenderSaysWhatIsMissing(t *testing.T) {
	_, err := manifests.Render(deploy + "/overlays/no-such")
	require.ErrorIs(t, err, manifests.ErrRender)
	require.ErrorContains(t, err, "no-such")

	_, err = manifests.RenderWith(deploy, "istio-hash", "no-such")
	require.ErrorIs(t, err, manifests.ErrRender)
	require.ErrorContains(t, err, "no-such")
}

func TestRenderWithNothingIsTheOverlay(t *testing.T) {
	plain, err := manifests.Render(deploy + "/overlays/istio-hash")
	require.NoError(t, err)
	require.Equal(t, objects(plain), with(t, "istio-hash"))
	require.Equal(t, "Namespace", plain[0].GetKind(), "what others live in comes first")
	require.NotEqual(t, objects(plain), with(t, "istio-hash", "debug"))
}
