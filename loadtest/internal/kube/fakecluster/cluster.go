package fakecluster

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/smaran-v2/smaran/loadtest/internal/kube/cluster"
)

// How long things take.
const (
	Join    = 3 * time.Second        // until a new pod is ready
	Leave   = 6 * time.Second        // until a deleted pod is gone, if it has its own grace
	Restart = 2 * time.Second        // until a killed container is ready again
	Lag     = 300 * time.Millisecond // until a change of endpoints is at the proxies
	Late    = 50 * time.Millisecond  // until a watch tells of a change
)

// Cluster is one. Close it at the end of a test.
type Cluster struct {
	client *fake.FakeDynamicClient

	mu      sync.Mutex
	made    int
	slices  []sliceVersion
	servers sync.WaitGroup
	timers  []*time.Timer
	lag     time.Duration
}

// kinds are those that are listed, and so have to be known beforehand.
func kinds() map[schema.GroupVersionResource]string {
	out := map[schema.GroupVersionResource]string{}
	for _, k := range []schema.GroupVersionKind{
		{Version: "v1", Kind: "Pod"}, {Version: "v1", Kind: "Node"}, {Version: "v1", Kind: "Secret"}, {Version: "v1", Kind: "Service"},
		{Version: "v1", Kind: "ServiceAccount"}, {Version: "v1", Kind: "Namespace"}, {Version: "v1", Kind: "ConfigMap"},
		{Group: "apps", Version: "v1", Kind: "Deployment"}, {Group: "batch", Version: "v1", Kind: "Job"},
		{Group: "discovery.k8s.io", Version: "v1", Kind: "EndpointSlice"}, {Group: "policy", Version: "v1", Kind: "PodDisruptionBudget"},
		{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "Role"}, {Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "RoleBinding"},
		{Group: "networking.k8s.io", Version: "v1", Kind: "NetworkPolicy"},
		{Group: "networking.istio.io", Version: "v1", Kind: "DestinationRule"}, {Group: "networking.istio.io", Version: "v1", Kind: "VirtualService"},
		{Group: "networking.istio.io", Version: "v1", Kind: "Gateway"}, {Group: "networking.istio.io", Version: "v1", Kind: "Sidecar"},
		{Group: "security.istio.io", Version: "v1", Kind: "PeerAuthentication"},
		{Group: "security.istio.io", Version: "v1", Kind: "AuthorizationPolicy"},
	} {
		gvr, _ := meta.UnsafeGuessKindToResource(k)
		out[gvr] = k.Kind + "List"
	}
	return out
}

// New is an empty cluster of one kind node, with an ingress gateway.
func New() *Cluster {
	c := &Cluster{client: fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), kinds()), lag: Lag}
	c.client.PrependWatchReactor("*", c.onWatch)
	c.client.PrependReactor("*", "deployments", c.onDeployment)
	c.client.PrependReactor("delete", "pods", c.onDeletePod)
	c.client.PrependReactor("delete", "namespaces", c.onDeleteNamespace)
	c.client.PrependReactor("create", "jobs", c.onJob)
	c.client.PrependReactor("delete", "jobs", c.onDeleteJob)
	c.put("nodes", "", map[string]any{
		"apiVersion": "v1", "kind": "Node", "metadata": map[string]any{"name": nodeName},
		"spec": map[string]any{"providerID": "kind://docker/fake/" + nodeName},
	})
	c.put("pods", "istio-system", map[string]any{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": map[string]any{"name": "gateway-1", "namespace": "istio-system", "labels": map[string]any{"istio": "ingressgateway"}},
		"status":   map[string]any{"conditions": []any{map[string]any{"type": "Ready", "status": "True"}}},
	})
	return c
}

// onDeleteNamespace takes a namespace's objects with it, and its time.
func (c *Cluster) onDeleteNamespace(action clienttesting.Action) (bool, runtime.Object, error) {
	name := action.(clienttesting.DeleteActionImpl).GetName()
	c.mu.Lock()
	defer c.mu.Unlock()
	ns := c.get("namespaces", "", name)
	if ns == nil {
		return false, nil, nil
	}
	_ = unstructured.SetNestedField(ns.Object, time.Now().UTC().Format(time.RFC3339), "metadata", "deletionTimestamp")
	c.put("namespaces", "", ns.Object)
	c.after(Leave, func() {
		for gvr := range kinds() {
			for _, o := range c.list(gvr.Resource, name) {
				c.drop(gvr.Resource, name, o.GetName())
			}
		}
		c.drop("namespaces", "", name)
	})
	return true, nil, nil
}

const nodeName = "fake-control-plane"

// Client is the cluster's.
func (c *Cluster) Client() *cluster.Client {
	return &cluster.Client{Dynamic: c.client, Mapper: mapper{}}
}

// Refuse has the API server fail a verb on a resource with what why gives; nil lets the request pass.
func (c *Cluster) Refuse(verb, resource string, why func() error) {
	c.client.PrependReactor(verb, resource, func(clienttesting.Action) (bool, runtime.Object, error) {
		err := why()
		return err != nil, nil, err
	})
}

// Close ends what still goes on.
func (c *Cluster) Close() {
	c.mu.Lock()
	for _, t := range c.timers {
		t.Stop()
	}
	c.mu.Unlock()
	c.servers.Wait()
}

// mapper knows the kinds that New knows.
type mapper struct{}

// Resource implements cluster.Mapper.
func (mapper) Resource(_ context.Context, kind schema.GroupVersionKind) (cluster.Resource, error) {
	gvr, _ := meta.UnsafeGuessKindToResource(kind)
	if _, ok := kinds()[gvr]; !ok {
		return cluster.Resource{}, fmt.Errorf("%s: %w", kind, cluster.ErrNotFound)
	}
	return cluster.Resource{GroupVersionResource: gvr, Namespaced: kind.Kind != "Namespace" && kind.Kind != "Node"}, nil
}

// Kinds implements cluster.Mapper.
func (mapper) Kinds(context.Context) ([]schema.GroupVersionKind, error) {
	var out []schema.GroupVersionKind
	for gvr, list := range kinds() {
		if kind := strings.TrimSuffix(list, "List"); kind != "Namespace" && kind != "Node" {
			out = append(out, gvr.GroupVersion().WithKind(kind))
		}
	}
	return out, nil
}

// after does something later, unless the cluster is closed first. It is called with mu held, and so is do.
func (c *Cluster) after(d time.Duration, do func()) {
	c.timers = append(c.timers, time.AfterFunc(d, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		do()
	}))
}

func resourceOf(name string) schema.GroupVersionResource {
	for gvr := range kinds() {
		if gvr.Resource == name {
			return gvr
		}
	}
	return schema.GroupVersionResource{}
}

// get is an object, nil where there is none.
func (c *Cluster) get(resource, namespace, name string) *unstructured.Unstructured {
	o, err := c.client.Tracker().Get(resourceOf(resource), namespace, name)
	if err != nil {
		return nil
	}
	u, _ := o.(*unstructured.Unstructured)
	return u.DeepCopy()
}

// put makes or replaces an object, past the reactors.
func (c *Cluster) put(resource, namespace string, content map[string]any) {
	u := &unstructured.Unstructured{Object: content}
	if c.get(resource, namespace, u.GetName()) == nil {
		_ = c.client.Tracker().Create(resourceOf(resource), u, namespace) // it is not there
		return
	}
	_ = c.client.Tracker().Update(resourceOf(resource), u, namespace) // it is there
}

func (c *Cluster) drop(resource, namespace, name string) {
	_ = c.client.Tracker().Delete(resourceOf(resource), namespace, name) // it may be gone
}

// list are a resource's objects in a namespace.
func (c *Cluster) list(resource, namespace string) []*unstructured.Unstructured {
	gvr := resourceOf(resource)
	kind := strings.TrimSuffix(kinds()[gvr], "List")
	o, err := c.client.Tracker().List(gvr, gvr.GroupVersion().WithKind(kind), namespace, metav1.ListOptions{})
	if err != nil {
		return nil
	}
	l, _ := o.(*unstructured.UnstructuredList)
	var out []*unstructured.Unstructured
	for i := range l.Items {
		out = append(out, l.Items[i].DeepCopy())
	}
	return out
}

// SetLag changes how long changes take to reach the proxies.
func (c *Cluster) SetLag(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lag = d
}
