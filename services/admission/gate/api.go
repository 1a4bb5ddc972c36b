package gate

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
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

// API is what is asked of the API server, in one namespace. Its errors are those of k8s.io/apimachinery/pkg/api/errors.
type API interface {
	Service(ctx context.Context, name string) (*corev1.Service, error)
	// Pods lists and watches those of a label selector.
	Pods(selector string) cache.ListerWatcher
	// PatchPodStatus sends a strategic merge patch for the subresource status.
	PatchPodStatus(ctx context.Context, pod string, patch []byte) error
	Leases
}

// Leases are the part of API that an election needs. UpdateLease is refused as a conflict if the Lease has changed since it was read.
type Leases interface {
	Lease(ctx context.Context, name string) (*coordinationv1.Lease, error)
	CreateLease(ctx context.Context, lease *coordinationv1.Lease) (*coordinationv1.Lease, error)
	UpdateLease(ctx context.Context, lease *coordinationv1.Lease) (*coordinationv1.Lease, error)
}

// Server is the API of an API server. It knows three resources: client-go's clientset, which knows all, would double the program.
type Server struct {
	namespace    string
	core, leases *rest.RESTClient
	carriers     []*http.Client
}

var _ API = (*Server)(nil)

// NewServer returns the API of config's server. leaseTime bounds a call about a Lease; one that hangs is not to lose it.
func NewServer(config *rest.Config, namespace string, leaseTime time.Duration) (*Server, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), coordinationv1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	s := &Server{namespace: namespace}
	client := func(path string, group schema.GroupVersion, timeout time.Duration) (*rest.RESTClient, error) {
		c := rest.CopyConfig(config)
		c.APIPath, c.GroupVersion, c.Timeout = path, &group, timeout
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
	if s.core, err = client("/api", corev1.SchemeGroupVersion, 0); err != nil { // a watch lasts
		return nil, err
	}
	s.leases, err = client("/apis", coordinationv1.SchemeGroupVersion, leaseTime)
	return s, err
}

// Close ends connections that nobody uses.
func (s *Server) Close() {
	for _, c := range s.carriers {
		utilnet.CloseIdleConnectionsFor(c.Transport)
	}
}

const (
	podsResource   = "pods"
	leasesResource = "leases"
)

// Service implements API.
func (s *Server) Service(ctx context.Context, name string) (*corev1.Service, error) {
	out := &corev1.Service{}
	return out, s.core.Get().Namespace(s.namespace).Resource("services").Name(name).Do(ctx).Into(out)
}

// Pods implements API.
func (s *Server) Pods(selector string) cache.ListerWatcher {
	return cache.NewFilteredListWatchFromClient(s.core, podsResource, s.namespace, func(o *metav1.ListOptions) { o.LabelSelector = selector })
}

// PatchPodStatus implements API.
func (s *Server) PatchPodStatus(ctx context.Context, pod string, patch []byte) error {
	return s.core.Patch(types.StrategicMergePatchType).Namespace(s.namespace).Resource(podsResource).Name(pod).SubResource("status").
		Param("fieldManager", manager).Body(patch).Do(ctx).Error()
}

// Lease implements Leases.
func (s *Server) Lease(ctx context.Context, name string) (*coordinationv1.Lease, error) {
	out := &coordinationv1.Lease{}
	return out, s.leases.Get().Namespace(s.namespace).Resource(leasesResource).Name(name).Do(ctx).Into(out)
}

// CreateLease implements Leases.
func (s *Server) CreateLease(ctx context.Context, lease *coordinationv1.Lease) (*coordinationv1.Lease, error) {
	out := &coordinationv1.Lease{}
	return out, s.leases.Post().Namespace(s.namespace).Resource(leasesResource).Body(lease).Do(ctx).Into(out)
}

// UpdateLease implements Leases.
func (s *Server) UpdateLease(ctx context.Context, lease *coordinationv1.Lease) (*coordinationv1.Lease, error) {
	out := &coordinationv1.Lease{}
	return out, s.leases.Put().Namespace(s.namespace).Resource(leasesResource).Name(lease.Name).Body(lease).Do(ctx).Into(out)
}
