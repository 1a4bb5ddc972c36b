package overlay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/smaran-v2/smaran/loadtest/internal/kube/cluster"
)

// dissolve removes a namespace that was not there, and returns when it is gone. What others put into it in the meantime, such as after a
// program that was killed, is not ours to delete: then only what is the project's goes.
func (n Namespace) dissolve(ctx context.Context) error {
	switch live, err := n.Cluster.Read(ctx, n.object()); {
	case errors.Is(err, cluster.ErrNotFound):
		return nil
	case err != nil:
		return err
	case live.GetDeletionTimestamp() != nil: // the call before this one did not see its end
		_, err := n.exists(ctx)
		return err
	}
	kinds, err := n.Cluster.Mapper.Kinds(ctx)
	if err != nil {
		return fmt.Errorf("see what is in namespace %s, before it is deleted: %w", n.Name, err)
	}
	foreign, err := n.foreign(ctx, kinds)
	if err != nil {
		return err
	}
	if foreign == nil {
		if err := n.Cluster.Remove(ctx, n.object()); err != nil {
			return err
		}
		_, err := n.exists(ctx)
		return err
	}
	if n.Say != nil {
		n.Say(fmt.Sprintf("namespace %s was not there before, and is kept because of %s, which is not of this project", n.Name, cluster.Name(foreign)))
	}
	for _, kind := range kinds {
		there, err := n.ours(ctx, kind)
		if errors.Is(err, cluster.ErrForbidden) {
			continue
		}
		if err != nil {
			return err
		}
		for _, o := range there {
			if err := n.Cluster.Remove(ctx, o); err != nil {
				return err
			}
		}
	}
	return n.forget(ctx)
}

// foreign is one object of the namespace that somebody made, and not for the project; nil where there is none as far as can be seen.
func (n Namespace) foreign(ctx context.Context, kinds []schema.GroupVersionKind) (*unstructured.Unstructured, error) {
	name, value, _ := strings.Cut(PartOf, "=")
	for _, kind := range kinds {
		if slices.Contains(derived(), kind.Kind) {
			continue
		}
		list, err := n.matching(ctx, kind, name+"!="+value)
		if errors.Is(err, cluster.ErrForbidden) { // who may not list it has made none of it
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, o := range list {
			if !n.usual(o) {
				return o, nil
			}
		}
	}
	return nil, nil
}

// derived are kinds of object that the control plane makes of others, without saying so by a controller reference.
func derived() []string { return []string{"Event", "Endpoints", "EndpointSlice"} }

// usual says whether an object is one that each namespace has, or what this program keeps.
func (n Namespace) usual(o *unstructured.Unstructured) bool {
	switch o.GetKind() {
	case "ServiceAccount":
		return o.GetName() == "default"
	case "ConfigMap":
		return slices.Contains([]string{"kube-root-ca.crt", "istio-ca-root-cert", "istio-ca-crl"}, o.GetName())
	case "Secret":
		return o.GetName() == secretName
	default:
		return false
	}
}
