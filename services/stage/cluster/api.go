package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/smaran-v2/smaran/services/internal/apiserver"
)

// server is the API server, for two resources of one namespace.
type server struct {
	namespace  string
	core, apps *apiserver.Group
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
	var err error
	if s.core, err = apiserver.Open(config, scheme, corev1.SchemeGroupVersion, 0); err != nil {
		return nil, err
	}
	s.apps, err = apiserver.Open(config, scheme, appsv1.SchemeGroupVersion, 0)
	return s, err
}

// close ends connections that nobody uses.
func (s *server) close() {
	s.core.Close()
	s.apps.Close()
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
