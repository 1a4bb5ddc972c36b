package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	apiversion "k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/rest"
)

// Resource is how a kind of object is asked for.
type Resource struct {
	schema.GroupVersionResource
	Namespaced bool
}

// Mapper knows the kinds that the cluster has.
type Mapper interface {
	// Resource finds the one of a kind. It fails with ErrNotFound for a kind that the cluster does not have.
	Resource(ctx context.Context, kind schema.GroupVersionKind) (Resource, error)
	// Kinds are those of objects that are in a namespace and that somebody can make, list and delete; each in one version.
	Kinds(ctx context.Context) ([]schema.GroupVersionKind, error)
}

// discovery asks the API server, once a group and version. client-go's own would bring all API types along.
type discovery struct {
	api *rest.RESTClient

	mu    sync.Mutex
	known map[schema.GroupVersion]*metav1.APIResourceList
}

func newDiscovery(config *rest.Config) (*discovery, error) {
	config = rest.CopyConfig(config)
	config.GroupVersion = &schema.GroupVersion{Version: "v1"}
	config.APIPath = "/api"
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, *config.GroupVersion)
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	api, err := rest.RESTClientFor(config)
	if err != nil {
		return nil, err
	}
	return &discovery{api: api, known: map[schema.GroupVersion]*metav1.APIResourceList{}}, nil
}

func (d *discovery) get(ctx context.Context, path string, into any) error {
	raw, err := d.api.Get().AbsPath(path).Do(ctx).Raw()
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}

func (d *discovery) version(ctx context.Context) (string, error) {
	var v apiversion.Info
	err := d.get(ctx, "/version", &v)
	return v.GitVersion, err
}

// Resource implements Mapper.
func (d *discovery) Resource(ctx context.Context, kind schema.GroupVersionKind) (Resource, error) {
	list, err := d.resources(ctx, kind.GroupVersion())
	if err != nil {
		return Resource{}, explain(fmt.Sprintf("look up %s %s", kind.GroupVersion(), kind.Kind), err)
	}
	for _, r := range list.APIResources {
		if r.Kind == kind.Kind && !strings.Contains(r.Name, "/") {
			return Resource{kind.GroupVersion().WithResource(r.Name), r.Namespaced}, nil
		}
	}
	return Resource{}, fmt.Errorf("look up %s %s: %w", kind.GroupVersion(), kind.Kind, ErrNotFound)
}

// Kinds implements Mapper.
func (d *discovery) Kinds(ctx context.Context) ([]schema.GroupVersionKind, error) {
	var groups metav1.APIGroupList
	if err := d.get(ctx, "/apis", &groups); err != nil {
		return nil, explain("list the API groups", err)
	}
	core := metav1.GroupVersionForDiscovery{GroupVersion: "v1"}
	all := append([]metav1.APIGroup{{PreferredVersion: core, Versions: []metav1.GroupVersionForDiscovery{core}}}, groups.Groups...)
	var out []schema.GroupVersionKind
	for _, g := range all {
		seen := map[string]bool{}
		// Some kinds are in another version only than the preferred one.
		for _, v := range append([]metav1.GroupVersionForDiscovery{g.PreferredVersion}, g.Versions...) {
			gv, err := schema.ParseGroupVersion(v.GroupVersion)
			if err != nil {
				return nil, fmt.Errorf("list the kinds of %s: %w", v.GroupVersion, err)
			}
			list, err := d.resources(ctx, gv)
			if apierrors.IsServiceUnavailable(err) || apierrors.IsNotFound(err) { // an aggregated API whose server is down
				continue
			}
			if err != nil {
				return nil, explain("list the kinds of "+v.GroupVersion, err)
			}
			for _, r := range list.APIResources {
				if r.Namespaced && !seen[r.Kind] && !strings.Contains(r.Name, "/") && can(r, "create", "list", "delete") {
					seen[r.Kind] = true
					out = append(out, gv.WithKind(r.Kind))
				}
			}
		}
	}
	return out, nil
}

func can(r metav1.APIResource, verbs ...string) bool {
	return !slices.ContainsFunc(verbs, func(verb string) bool { return !slices.Contains(r.Verbs, verb) })
}

func (d *discovery) resources(ctx context.Context, gv schema.GroupVersion) (*metav1.APIResourceList, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if list, ok := d.known[gv]; ok {
		return list, nil
	}
	path := "/apis/" + gv.String()
	if gv.Group == "" {
		path = "/api/" + gv.Version
	}
	list := &metav1.APIResourceList{}
	if err := d.get(ctx, path, list); err != nil {
		return nil, err
	}
	d.known[gv] = list
	return list, nil
}
