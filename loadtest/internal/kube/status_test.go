package kube_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/smaran-v2/smaran/loadtest/internal/driver"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/fakecluster"
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
		require.Equal(t, fakecluster.Revision+" (smaran-v2/smaran:dev@0123456789ab)", versions["smaran"])
		require.Regexp(t, `^[0-9.]+$`, versions["redis"], "a pinned one, by its tag")
	})
}

func TestTheStatusNamesATagNotADigest(t *testing.T) {
	const digest = "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for image, want := range map[string]string{
		"redis:7.4":                              "7.4",
		"redis:7.4" + digest:                     "7.4",
		"mirror.example:5000/redis:7.4":          "7.4",
		"mirror.example:5000/redis:7.4" + digest: "7.4",
		"redis" + digest:                         "redis" + digest,
		"mirror.example:5000/redis":              "mirror.example:5000/redis",
	} {
		inBubble(t, func(t *testing.T, b *bench) {
			b.driver.Render = func(name string, features ...string) ([]*unstructured.Unstructured, error) {
				objects, err := render(name, features...)
				for _, o := range objects {
					if o.GetKind() != "Deployment" || o.GetName() != "redis" {
						continue
					}
					containers, _, _ := unstructured.NestedSlice(o.Object, "spec", "template", "spec", "containers")
					containers[0].(map[string]any)["image"] = image
					require.NoError(t, unstructured.SetNestedSlice(o.Object, containers, "spec", "template", "spec", "containers"))
				}
				return objects, err
			}
			f, err := b.driver.Up(t.Context(), driver.Spec{Backend: "redis", Pods: 1})
			require.NoError(t, err)
			s, err := f.Status(t.Context())
			require.NoError(t, err)
			require.NoError(t, f.Down(t.Context()))
			for _, p := range s.GetProcesses() {
				if p.GetName() == "redis" {
					require.Equal(t, want, p.GetVersion())
				}
			}
		})
	}
}
