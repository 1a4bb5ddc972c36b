package manifests

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// ErrRender is returned for manifests that do not render, wrapped with kustomize's reason.
var ErrRender = errors.New("manifests: cannot render")

// RenderWith builds the overlay of that name below the directory deploy, with further features on top, in that order. Namespaces come first,
// then what others refer to. It fails with ErrRender, also for an overlay or a feature that does not exist.
func RenderWith(deploy, overlay string, features ...string) ([]*unstructured.Unstructured, error) {
	// In memory, since a kustomization can only name what lies beside it, and deploy is not ours to write to.
	const root, combined = "/deploy", "/deploy/combined"
	files := filesys.MakeFsInMemory()
	if err := load(files, root, os.DirFS(deploy)); err != nil {
		return nil, fmt.Errorf("%w: read %s: %w", ErrRender, deploy, err)
	}
	kustomization := map[string][]string{"resources": {"../overlays/" + overlay}}
	for _, feature := range features {
		kustomization["components"] = append(kustomization["components"], "../components/features/"+feature)
	}
	text, err := yaml.Marshal(kustomization)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRender, err)
	}
	if err := files.WriteFile(path.Join(combined, "kustomization.yaml"), text); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRender, err)
	}
	return render(files, combined)
}

// load copies the tree of from below root.
func load(to filesys.FileSystem, root string, from fs.FS) error {
	return fs.WalkDir(from, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		data, err := fs.ReadFile(from, name)
		if err != nil {
			return err
		}
		return to.WriteFile(path.Join(root, name), data)
	})
}

// Render builds the kustomization in dir, as `kubectl kustomize dir` does.
func Render(dir string) ([]*unstructured.Unstructured, error) {
	return render(filesys.MakeFsOnDisk(), dir)
}

func render(files filesys.FileSystem, dir string) ([]*unstructured.Unstructured, error) {
	options := krusty.MakeDefaultOptions()
	options.Reorder = krusty.ReorderOptionLegacy
	built, err := krusty.MakeKustomizer(options).Run(files, dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRender, err)
	}
	objects := make([]*unstructured.Unstructured, 0, built.Size())
	for _, res := range built.Resources() {
		object, err := convert(res)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrRender, res.CurId(), err)
		}
		objects = append(objects, object)
	}
	return objects, nil
}

// convert goes through JSON, whose numbers are those that unstructured objects may hold.
func convert(res *resource.Resource) (*unstructured.Unstructured, error) {
	text, err := res.MarshalJSON()
	if err != nil {
		return nil, err
	}
	object := &unstructured.Unstructured{}
	return object, object.UnmarshalJSON(text)
}
