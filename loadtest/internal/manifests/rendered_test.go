package manifests_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/smaran-v2/smaran/loadtest/internal/manifests"
)

const deploy = "../../../deploy"

// objects are what one rendering gives.
type objects []*unstructured.Unstructured

// directories lists the kustomizations below deploy/of.
func directories(t *testing.T, of string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(deploy, of))
	require.NoError(t, err)
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	require.NotEmpty(t, names)
	return names
}

// rendered is every overlay, every variant, and every feature that is not among the usual ones on top of the overlay it is for.
func rendered(t *testing.T) map[string]objects {
	t.Helper()
	all := map[string]objects{}
	for _, kind := range []string{"overlays", "variants"} {
		for _, name := range directories(t, kind) {
			built, err := manifests.Render(filepath.Join(deploy, kind, name))
			require.NoError(t, err)
			all[kind+"/"+name] = built
		}
	}
	usual := []string{"usual", "mtls-strict", "authorization", "routing", "gateway"}
	hashing := []string{"hash-by-cookie", "hash-by-source-ip", "hash-by-query", "ring-size"}
	for _, overlay := range directories(t, "overlays") {
		for _, feature := range directories(t, "components/features") {
			if slices.Contains(usual, feature) || slices.Contains(hashing, feature) && overlay != "istio-hash" {
				continue
			}
			all["overlays/"+overlay+" with "+feature] = with(t, overlay, feature)
		}
	}
	all["everything"] = with(t, "istio-hash", "resilience", "h2-upgrade", "ring-size", "routing-lenient", "network-policy", "istio-cni", "debug")
	return all
}

// kept are renderings by what they are of: many tests ask for the same, and none changes what it gets.
var kept = map[string]objects{}

func with(t *testing.T, overlay string, features ...string) objects {
	t.Helper()
	of := fmt.Sprint(overlay, features)
	if kept[of] == nil {
		built, err := manifests.RenderWith(deploy, overlay, features...)
		require.NoError(t, err)
		kept[of] = built
	}
	return slices.Clone(kept[of])
}

func (o objects) ofKind(kind string) objects {
	return slices.DeleteFunc(slices.Clone(o), func(u *unstructured.Unstructured) bool { return u.GetKind() != kind })
}

func (o objects) named(t *testing.T, kind, name string) *unstructured.Unstructured {
	t.Helper()
	for _, object := range o.ofKind(kind) {
		if object.GetName() == name {
			return object
		}
	}
	require.FailNow(t, "not rendered", "%s %s", kind, name)
	return nil
}

// typed converts one that the strict decoding has seen.
func typed[T any](t *testing.T, object *unstructured.Unstructured) T {
	t.Helper()
	var out T
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &out))
	return out
}

// edited is a copy that change has had its way with, for negative controls.
func edited(t *testing.T, object *unstructured.Unstructured, change func(map[string]any)) *unstructured.Unstructured {
	t.Helper()
	doctored := object.DeepCopy()
	change(doctored.Object)
	return doctored
}

func set(t *testing.T, value any, path ...string) func(map[string]any) {
	return func(object map[string]any) {
		t.Helper()
		require.NoError(t, unstructured.SetNestedField(object, value, path...))
	}
}

func toJSON(t *testing.T, object *unstructured.Unstructured) []byte {
	t.Helper()
	text, err := json.Marshal(object)
	require.NoError(t, err)
	return text
}
