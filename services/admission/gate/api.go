package gate

import (
	"context"
	"errors"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/smaran-v2/smaran/services/internal/apiserver"
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

// Server is the API of an API server.
type Server struct {
	namespace    string
	core, leases *apiserver.Group
}

var _ API = (*Server)(nil)

// NewServer returns the API of config's server. leaseTime bounds a call about a Lease; one that hangs is not to lose it.
func NewServer(config *rest.Config, namespace string, leaseTime time.Duration) (*Server, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), coordinationv1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	s := &Server{namespace: namespace}
	var err error
	if s.core, err = apiserver.Open(config, scheme, corev1.SchemeGroupVersion, 0); err != nil {
		return nil, err
	}
	s.leases, err = apiserver.Open(config, scheme, coordinationv1.SchemeGroupVersion, leaseTime)
	return s, err
}

// Close ends connections that nobody uses.
func (s *Server) Close() {
	s.core.Close()
	s.leases.Close()
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
