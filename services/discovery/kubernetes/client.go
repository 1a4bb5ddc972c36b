package kubernetes

import (
	"context"
	"errors"
	"fmt"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/smaran-v2/smaran/services/internal/apiserver"
)

// ErrNoCluster is returned outside a pod.
var ErrNoCluster = errors.New("this is no pod of a Kubernetes cluster with a service account")

// resource is what is listed and watched.
const resource = "endpointslices"

// InCluster is how a pod reaches its cluster's API server. It fails with ErrNoCluster.
func InCluster() (*rest.Config, error) {
	config, err := rest.InClusterConfig()
	if err != nil {
		return nil, fmt.Errorf("%w: %w; set automountServiceAccountToken, or use file:// or dns:// elsewhere", ErrNoCluster, err)
	}
	return config, nil
}

// client knows one resource of one API group.
type client struct {
	*cache.ListWatch
	api *apiserver.Group
}

func newClient(config *rest.Config, s Service) (*client, error) {
	scheme := runtime.NewScheme()
	if err := discoveryv1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"}) // what errors are written in
	api, err := apiserver.Open(config, scheme, discoveryv1.SchemeGroupVersion, config.Timeout)
	if err != nil {
		return nil, err
	}
	return &client{api: api, ListWatch: cache.NewFilteredListWatchFromClient(api, resource, s.Namespace,
		func(o *metav1.ListOptions) { o.LabelSelector = discoveryv1.LabelServiceName + "=" + s.Name })}, nil
}

// tryList and tryWatch ask for what the verbs allow, and for nothing else.
func (c *client) tryList(ctx context.Context) error {
	_, err := c.ListWithContextFunc(ctx, metav1.ListOptions{Limit: 1})
	return err
}

func (c *client) tryWatch(ctx context.Context) error {
	var w watch.Interface
	w, err := c.WatchFuncWithContext(ctx, metav1.ListOptions{})
	if err == nil {
		w.Stop()
	}
	return err
}
