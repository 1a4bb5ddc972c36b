package manifests_test

import (
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/smaran-v2/smaran/loadtest/internal/manifests"
)

// skaffold is what the tests ask of skaffold.yaml.
type skaffold struct {
	Build struct {
		Local     struct{ Push *bool }
		Artifacts []struct {
			Image  string
			Docker struct{ BuildArgs map[string]string }
		}
	}
	Manifests skaffoldManifests
	Profiles  []struct {
		Name      string
		Manifests skaffoldManifests
	}
}

type skaffoldManifests struct{ Kustomize struct{ Paths []string } }

func readSkaffold(t *testing.T) (s skaffold) {
	t.Helper()
	data, err := os.ReadFile("../../../skaffold.yaml")
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(data, &s))
	return s
}

// An overlay that Skaffold doesn't know can't be tried in the inner loop, and a profile without one fails only once it is used.
func TestSkaffoldHasAProfileForEachOverlay(t *testing.T) {
	s := readSkaffold(t)
	var profiles, overlays []string
	for _, p := range s.Profiles {
		profiles = append(profiles, p.Name)
		require.Equal(t, []string{"deploy/overlays/" + p.Name}, p.Manifests.Kustomize.Paths)
	}
	dirs, err := filepath.Glob(deploy + "/overlays/*/kustomization.yaml")
	require.NoError(t, err)
	for _, dir := range dirs {
		overlays = append(overlays, filepath.Base(filepath.Dir(dir)))
	}
	require.ElementsMatch(t, overlays, profiles)
	require.Equal(t, []string{"deploy/overlays/istio-hash"}, s.Manifests.Kustomize.Paths)
}

func TestSkaffoldBuildsOurImagesAndPushesNone(t *testing.T) {
	s := readSkaffold(t)
	require.NotNil(t, s.Build.Local.Push, "left out, it depends on the kind of cluster")
	require.False(t, *s.Build.Local.Push)
	built := map[string]bool{}
	for _, artifact := range s.Build.Artifacts {
		built[artifact.Image] = true
		require.Equal(t, map[string]string{"SERVICE": path.Base(artifact.Image)}, artifact.Docker.BuildArgs)
	}
	ours := 0
	for _, p := range s.Profiles {
		objects, err := manifests.Render(filepath.Join(deploy, "overlays", p.Name))
		require.NoError(t, err)
		for _, object := range objects {
			containers, _, err := unstructured.NestedSlice(object.Object, "spec", "template", "spec", "containers")
			require.NoError(t, err)
			for _, container := range containers {
				image, _, err := unstructured.NestedString(container.(map[string]any), "image")
				require.NoError(t, err)
				if name, _, _ := strings.Cut(image, ":"); strings.HasPrefix(name, "smaran-v2/") {
					require.True(t, built[name], "%s runs %s, which skaffold does not build", object.GetName(), name)
					ours++
				}
			}
		}
	}
	require.Positive(t, ours)
}
