package overlay

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jonboulle/clockwork"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/smaran-v2/smaran/loadtest/internal/kube/cluster"
)

// PartOf is the label that every object of the project has, as a selector.
const (
	PartOfLabel = "app.kubernetes.io/part-of"
	Project     = "smaran"
	PartOf      = PartOfLabel + "=" + Project
)

// ErrForeign is returned for an object that has the name of one of ours and is not: it is somebody's, and stays as it is.
var ErrForeign = errors.New("the namespace is somebody else's")

// routing are the kinds of object that decide where requests go. One that an overlay does not have would change what is measured, so
// it is taken away for the time; other things in the namespace stay.
func routing() []schema.GroupVersionKind {
	return []schema.GroupVersionKind{
		{Group: "networking.istio.io", Version: "v1", Kind: "DestinationRule"},
		{Group: "networking.istio.io", Version: "v1", Kind: "VirtualService"},
		{Group: "networking.istio.io", Version: "v1", Kind: "Gateway"},
		{Group: "networking.istio.io", Version: "v1", Kind: "Sidecar"},
		{Group: "networking.istio.io", Version: "v1alpha3", Kind: "EnvoyFilter"},
		{Group: "security.istio.io", Version: "v1", Kind: "PeerAuthentication"},
		{Group: "security.istio.io", Version: "v1", Kind: "AuthorizationPolicy"},
		{Group: "networking.k8s.io", Version: "v1", Kind: "NetworkPolicy"},
	}
}

// Namespace is one namespace of a cluster.
type Namespace struct {
	Cluster *cluster.Client
	Name    string
	// Clock is needed to remember.
	Clock clockwork.Clock
	// Say, optional, is told what is waited for.
	Say func(string)
}

// Switch makes the namespace what the objects say, in their order, and removes what routes otherwise.
func (n Namespace) Switch(ctx context.Context, objects []*unstructured.Unstructured) error {
	return n.make(ctx, objects, routing())
}

// make puts the objects, and removes others of the project, of the given kinds.
func (n Namespace) make(ctx context.Context, objects []*unstructured.Unstructured, kinds []schema.GroupVersionKind) error {
	wanted := map[string]bool{}
	for _, o := range objects {
		if err := n.Cluster.Put(ctx, o); err != nil {
			return err
		}
		wanted[id(o)] = true
	}
	for _, kind := range kinds {
		there, err := n.ours(ctx, kind)
		if err != nil {
			return err
		}
		for _, o := range there {
			if wanted[id(o)] {
				continue
			}
			if err := n.Cluster.Remove(ctx, o); err != nil {
				return err
			}
		}
	}
	return nil
}

// ours are the namespace's objects of the project of one kind; none where the cluster does not know the kind.
func (n Namespace) ours(ctx context.Context, kind schema.GroupVersionKind) ([]*unstructured.Unstructured, error) {
	return n.matching(ctx, kind, PartOf)
}

// matching are the objects of one kind that have the labels and that no controller made: those follow what they were made from.
func (n Namespace) matching(ctx context.Context, kind schema.GroupVersionKind, selector string) ([]*unstructured.Unstructured, error) {
	example := &unstructured.Unstructured{}
	example.SetGroupVersionKind(kind)
	example.SetNamespace(n.Name)
	list, err := n.Cluster.Matching(ctx, example, selector)
	if errors.Is(err, cluster.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []*unstructured.Unstructured
	for i := range list {
		if o := &list[i]; metav1.GetControllerOf(o) == nil {
			out = append(out, o)
		}
	}
	return out, nil
}

// look reads what of the objects is there, and whatever else of the project is of their kinds or routes. It fails with ErrForeign.
func (n Namespace) look(ctx context.Context, objects []*unstructured.Unstructured) ([]*unstructured.Unstructured, error) {
	found, err := n.read(ctx, objects)
	if err != nil {
		return nil, err
	}
	for _, kind := range kindsOf(objects) {
		there, err := n.ours(ctx, kind)
		if err != nil {
			return nil, err
		}
		for _, o := range there {
			found[id(o)] = o
		}
	}
	var out []*unstructured.Unstructured
	for _, key := range slices.SortedFunc(maps.Keys(found), namespacesFirst) {
		out = append(out, found[key])
	}
	return out, nil
}

// read reads what of the objects is there, by id. It fails with ErrForeign.
func (n Namespace) read(ctx context.Context, objects []*unstructured.Unstructured) (map[string]*unstructured.Unstructured, error) {
	found := map[string]*unstructured.Unstructured{}
	for _, o := range objects {
		live, err := n.Cluster.Read(ctx, o)
		if errors.Is(err, cluster.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if live.GetKind() != "Namespace" && !labelled(live) {
			return nil, fmt.Errorf("%w: %s %s has no label %s; remove or rename it, or use a cluster in which namespace %s is free",
				ErrForeign, live.GetKind(), live.GetName(), PartOf, n.Name)
		}
		found[id(live)] = live
	}
	return found, nil
}

// labelled says whether an object has the project's label.
func labelled(o *unstructured.Unstructured) bool {
	return o.GetLabels()[PartOfLabel] == Project
}

// namespacesFirst orders ids so that what others lie in is made before them.
func namespacesFirst(a, b string) int {
	if x, y := strings.HasPrefix(a, namespaceID), strings.HasPrefix(b, namespaceID); x != y {
		if x {
			return -1
		}
		return 1
	}
	return strings.Compare(a, b)
}

// kindsOf are the namespaced kinds of the objects, and those that route.
func kindsOf(objects []*unstructured.Unstructured) []schema.GroupVersionKind {
	kinds := map[schema.GroupVersionKind]bool{}
	for _, k := range routing() {
		kinds[k] = true
	}
	for _, o := range objects {
		if o.GetNamespace() != "" {
			kinds[o.GroupVersionKind()] = true
		}
	}
	return slices.SortedFunc(maps.Keys(kinds), func(a, b schema.GroupVersionKind) int { return strings.Compare(a.String(), b.String()) })
}

const namespaceID = "/Namespace "

// id is the same for one object in all versions of its kind.
func id(o *unstructured.Unstructured) string {
	return fmt.Sprintf("%s/%s %s/%s", o.GroupVersionKind().Group, o.GetKind(), o.GetNamespace(), o.GetName())
}

// clean is an object without what the API server adds by itself.
func clean(o *unstructured.Unstructured) *unstructured.Unstructured {
	o = o.DeepCopy()
	for _, field := range []string{"managedFields", "resourceVersion", "uid", "creationTimestamp", "generation", "selfLink"} {
		unstructured.RemoveNestedField(o.Object, "metadata", field)
	}
	unstructured.RemoveNestedField(o.Object, "status")
	return o
}
