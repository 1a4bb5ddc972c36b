package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// server is the API server, for two resources of one namespace: client-go's clientset, which knows all, would double the program.
type server struct {
	namespace  string
	core, apps *rest.RESTClient
	carriers   []*http.Client
}

const (
	podsResource        = "pods"
	deploymentsResource = "deployments"
	// manager is the name under which the API server notes who changed a field.
	manager = "stage"
)

func newServer(config *rest.Config, namespace string) (*server, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), appsv1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	s := &server{namespace: namespace}
	client := func(path string, group schema.GroupVersion) (*rest.RESTClient, error) {
		c := rest.CopyConfig(config)
		c.APIPath, c.GroupVersion = path, &group
		c.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
		c.QPS = -1 // no limit: whoever asks has pauses of its own
		c.UserAgent = rest.DefaultKubernetesUserAgent()
		carrier, err := rest.HTTPClientFor(c)
		if err != nil {
			return nil, fmt.Errorf("client of the API server: %w", err)
		}
		s.carriers = append(s.carriers, carrier)
		return rest.RESTClientForConfigAndClient(c, carrier)
	}
	var err error
	if s.core, err = client("/api", corev1.SchemeGroupVersion); err != nil {
		return nil, err
	}
	s.apps, err = client("/apis", appsv1.SchemeGroupVersion)
	return s, err
}

// close ends connections that nobody uses.
func (s *server) close() {
	for _, c := range s.carriers {
		utilnet.CloseIdleConnectionsFor(c.Transport)
	}
}

// pods lists and watches those of a label selector.
func (s *server) pods(selector string) cache.ListerWatcher {
	return cache.NewFilteredListWatchFromClient(s.core, podsResource, s.namespace, func(o *metav1.ListOptions) { o.LabelSelector = selector })
}

func (s *server) deployment(ctx context.Context, name string) (*appsv1.Deployment, error) {
	out := &appsv1.Deployment{}
	return out, s.apps.Get().Namespace(s.namespace).Resource(deploymentsResource).Name(name).Do(ctx).Into(out)
}

// scale sets a Deployment's replicas by its subresource, so that the right to it is no right to change the rest.
func (s *server) scale(ctx context.Context, name string, replicas uint32) error {
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"replicas": replicas}})
	if err != nil {
		return err
	}
	return s.apps.Patch(types.MergePatchType).Namespace(s.namespace).Resource(deploymentsResource).Name(name).SubResource("scale").
		Param("fieldManager", manager).Body(patch).Do(ctx).Error()
}

// restarted is the annotation by which kubectl rollout restart makes a Deployment's pods new.
const restarted = "kubectl.kubernetes.io/restartedAt"

func (s *server) restart(ctx context.Context, name string, now time.Time) error {
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"template": map[string]any{"metadata": map[string]any{
		"annotations": map[string]string{restarted: now.Format(time.RFC3339Nano)}}}}})
	if err != nil {
		return err
	}
	return s.apps.Patch(types.StrategicMergePatchType).Namespace(s.namespace).Resource(deploymentsResource).Name(name).
		Param("fieldManager", manager).Body(patch).Do(ctx).Error()
}

// remove deletes a pod. A grace of nil is the pod's own.
func (s *server) remove(ctx context.Context, pod string, grace *int64) error {
	return s.core.Delete().Namespace(s.namespace).Resource(podsResource).Name(pod).
		Body(&metav1.DeleteOptions{TypeMeta: metav1.TypeMeta{Kind: "DeleteOptions", APIVersion: "v1"}, GracePeriodSeconds: grace}).Do(ctx).Error()
}
