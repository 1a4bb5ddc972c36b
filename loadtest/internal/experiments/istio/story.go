package istio

import (
	"encoding/json"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/smaran-v2/smaran/loadtest/internal/kube"
	"github.com/smaran-v2/smaran/loadtest/internal/manifests"
)

// debugAccount is the walk-through's ServiceAccount, which jarvis-callers names: probes that call jarvis itself run as it.
const debugAccount = "debug"

// Names of the project's objects, besides those of package kube.
const (
	jarvisRule    = "jarvis-consistent-hash"
	jarvisRouting = "jarvis-routing"
)

// story is an overlay with features as it would be in another namespace. What would be heard outside of that, the gateway and its
// routes, is left out.
func story(deploy, namespace, overlay string, features ...string) ([]*unstructured.Unstructured, error) {
	rendered, err := manifests.RenderWith(deploy, overlay, features...)
	if err != nil {
		return nil, err
	}
	var out []*unstructured.Unstructured
	for _, o := range rendered {
		switch id := o.GetKind() + " " + o.GetName(); id {
		case "Namespace " + kube.Namespace, "Gateway smaran", "VirtualService smaran-routing":
			continue
		case "VirtualService " + jarvisRouting:
			unstructured.RemoveNestedField(o.Object, "spec", "gateways")
			if err := unstructured.SetNestedStringSlice(o.Object, []string{kube.JarvisService}, "spec", "hosts"); err != nil {
				return nil, fmt.Errorf("%s: %w", id, err)
			}
		}
		if o, err = moved(o, namespace); err != nil {
			return nil, err
		}
		out = append(out, o)
	}
	return out, nil
}

// moved is an object that says another namespace wherever it said kube.Namespace, for which deploy/ is written.
func moved(o *unstructured.Unstructured, namespace string) (*unstructured.Unstructured, error) {
	text, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	said := strings.NewReplacer(
		`"namespace":"`+kube.Namespace+`"`, `"namespace":"`+namespace+`"`, // metadata, and a RoleBinding's subjects
		"kubernetes://"+kube.Namespace+"/", "kubernetes://"+namespace+"/", // SMARAN_ENDPOINTS
		"/ns/"+kube.Namespace+"/", "/ns/"+namespace+"/", // an AuthorizationPolicy's principals
	).Replace(string(text))
	out := &unstructured.Unstructured{}
	return out, out.UnmarshalJSON([]byte(said))
}

// pick are the objects of the story with these kinds and names.
func pick(objects []*unstructured.Unstructured, ids ...string) ([]*unstructured.Unstructured, error) {
	var out []*unstructured.Unstructured
	for _, id := range ids {
		found := false
		for _, o := range objects {
			if o.GetKind()+" "+o.GetName() == id {
				out, found = append(out, o), true
			}
		}
		if !found {
			return nil, fmt.Errorf("%w: the manifests have no %s", ErrMissing, id)
		}
	}
	return out, nil
}

// without are the objects but one Deployment.
func without(objects []*unstructured.Unstructured, deployment string) (out []*unstructured.Unstructured) {
	for _, o := range objects {
		if o.GetKind() != "Deployment" || o.GetName() != deployment {
			out = append(out, o)
		}
	}
	return out
}
