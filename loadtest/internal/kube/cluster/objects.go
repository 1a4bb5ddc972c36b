package cluster

import (
	"context"
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/util/retry"
)

// FieldManager owns the fields that this program changes.
const FieldManager = "smaran-loadtest"

// Read is the object as the cluster has it. It fails with ErrNotFound.
func (c *Client) Read(ctx context.Context, o *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	in, err := c.in(ctx, o)
	if err != nil {
		return nil, err
	}
	live, err := in.Get(ctx, o.GetName(), metav1.GetOptions{})
	return live, explain("read "+Name(o), err)
}

// Put makes an object exactly what o says, whatever it was, and makes it where it is not there. Controllers may change it meanwhile.
func (c *Client) Put(ctx context.Context, o *unstructured.Unstructured) error {
	in, err := c.in(ctx, o)
	if err != nil {
		return err
	}
	return explain("put "+Name(o), retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		live, err := in.Get(ctx, o.GetName(), metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			_, err = in.Create(ctx, o, metav1.CreateOptions{FieldManager: FieldManager})
			return err
		}
		if err != nil {
			return err
		}
		next := o.DeepCopy()
		next.SetResourceVersion(live.GetResourceVersion())
		_, err = in.Update(ctx, next, metav1.UpdateOptions{FieldManager: FieldManager})
		return err
	}))
}

// Remove deletes an object and, in the background, what belongs to it. One that is gone already is no error.
func (c *Client) Remove(ctx context.Context, o *unstructured.Unstructured) error {
	in, err := c.in(ctx, o)
	if err != nil {
		return ignoreNotFound(err)
	}
	background := metav1.DeletePropagationBackground
	return ignoreNotFound(explain("delete "+Name(o), in.Delete(ctx, o.GetName(), metav1.DeleteOptions{PropagationPolicy: &background})))
}

// Matching lists the objects of o's kind, in o's namespace, that a label selector matches.
func (c *Client) Matching(ctx context.Context, o *unstructured.Unstructured, selector string) ([]unstructured.Unstructured, error) {
	in, err := c.in(ctx, o)
	if err != nil {
		return nil, err
	}
	list, err := in.List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, explain("list "+o.GetKind()+"s in "+o.GetNamespace(), err)
	}
	return list.Items, nil
}

func (c *Client) in(ctx context.Context, o *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	r, err := c.Mapper.Resource(ctx, o.GroupVersionKind())
	if err != nil {
		return nil, err
	}
	if r.Namespaced {
		return c.Dynamic.Resource(r.GroupVersionResource).Namespace(o.GetNamespace()), nil
	}
	return c.Dynamic.Resource(r.GroupVersionResource), nil
}

// Name is an object as errors name it.
func Name(o *unstructured.Unstructured) string {
	if o.GetNamespace() == "" {
		return o.GetKind() + " " + o.GetName()
	}
	return o.GetKind() + " " + o.GetNamespace() + "/" + o.GetName()
}

func ignoreNotFound(err error) error {
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}
