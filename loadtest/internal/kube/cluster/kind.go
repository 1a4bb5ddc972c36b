package cluster

import (
	"context"
	"encoding/json"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

// Kind is one kind of object with its Go type.
type Kind[T any] struct {
	Resource schema.GroupVersionResource
	Name     string
}

// Pods are core/v1 Pod.
func Pods() Kind[corev1.Pod] { return kind[corev1.Pod](corev1.SchemeGroupVersion, "pods", "Pod") }

// Nodes are core/v1 Node; they are in no namespace.
func Nodes() Kind[corev1.Node] { return kind[corev1.Node](corev1.SchemeGroupVersion, "nodes", "Node") }

// Secrets are core/v1 Secret.
func Secrets() Kind[corev1.Secret] {
	return kind[corev1.Secret](corev1.SchemeGroupVersion, "secrets", "Secret")
}

// Deployments are apps/v1 Deployment.
func Deployments() Kind[appsv1.Deployment] {
	return kind[appsv1.Deployment](appsv1.SchemeGroupVersion, "deployments", "Deployment")
}

// Jobs are batch/v1 Job.
func Jobs() Kind[batchv1.Job] { return kind[batchv1.Job](batchv1.SchemeGroupVersion, "jobs", "Job") }

// EndpointSlices are discovery.k8s.io/v1 EndpointSlice.
func EndpointSlices() Kind[discoveryv1.EndpointSlice] {
	return kind[discoveryv1.EndpointSlice](discoveryv1.SchemeGroupVersion, "endpointslices", "EndpointSlice")
}

func kind[T any](gv schema.GroupVersion, resource, name string) Kind[T] {
	return Kind[T]{gv.WithResource(resource), name}
}

// In is the kind's interface in a namespace, or outside of all where that is empty.
func (k Kind[T]) In(c *Client, namespace string) dynamic.ResourceInterface {
	if namespace == "" {
		return c.Dynamic.Resource(k.Resource)
	}
	return c.Dynamic.Resource(k.Resource).Namespace(namespace)
}

// Get fails with ErrNotFound or ErrForbidden.
func (k Kind[T]) Get(ctx context.Context, c *Client, namespace, name string) (*T, error) {
	u, err := k.In(c, namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, explain("read "+k.named(namespace, name), err)
	}
	return k.From(u)
}

// List has those that a label selector matches. It fails with ErrForbidden.
func (k Kind[T]) List(ctx context.Context, c *Client, namespace, selector string) ([]*T, error) {
	list, err := k.In(c, namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, explain("list "+k.Resource.Resource+" in "+namespace, err)
	}
	out := make([]*T, 0, len(list.Items))
	for i := range list.Items {
		o, err := k.From(&list.Items[i])
		if err != nil {
			return nil, err
		}
		out = append(out, o)
	}
	return out, nil
}

// Create makes an object that must not be there yet.
func (k Kind[T]) Create(ctx context.Context, c *Client, namespace string, o *T) error {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return fmt.Errorf("encode a %s: %w", k.Name, err)
	}
	u := &unstructured.Unstructured{Object: content}
	u.SetGroupVersionKind(k.Resource.GroupVersion().WithKind(k.Name))
	_, err = k.In(c, namespace).Create(ctx, u, metav1.CreateOptions{FieldManager: FieldManager})
	return explain("make "+k.named(namespace, u.GetName()), err)
}

// Merge changes fields by a JSON merge patch (RFC 7386) of the object, or of a subresource such as scale.
func (k Kind[T]) Merge(ctx context.Context, c *Client, namespace, name string, patch any, subresource ...string) error {
	raw, err := json.Marshal(patch)
	if err != nil {
		return fmt.Errorf("encode a patch: %w", err)
	}
	_, err = k.In(c, namespace).Patch(ctx, name, types.MergePatchType, raw, metav1.PatchOptions{FieldManager: FieldManager}, subresource...)
	return explain("change "+k.named(namespace, name), err)
}

// Delete removes an object; one that is gone already is no error. A negative grace leaves the object its own, in seconds.
func (k Kind[T]) Delete(ctx context.Context, c *Client, namespace, name string, grace int64) error {
	background := metav1.DeletePropagationBackground
	o := metav1.DeleteOptions{PropagationPolicy: &background}
	if grace >= 0 {
		o.GracePeriodSeconds = &grace
	}
	return ignoreNotFound(explain("delete "+k.named(namespace, name), k.In(c, namespace).Delete(ctx, name, o)))
}

// From is the typed object.
func (k Kind[T]) From(u *unstructured.Unstructured) (*T, error) {
	out := new(T)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, out); err != nil {
		return nil, fmt.Errorf("read %s: %w", k.named(u.GetNamespace(), u.GetName()), err)
	}
	return out, nil
}

func (k Kind[T]) named(namespace, name string) string {
	if namespace == "" {
		return k.Name + " " + name
	}
	return k.Name + " " + namespace + "/" + name
}
