package fakecluster

import (
	"cmp"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"reflect"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clienttesting "k8s.io/client-go/testing"
)

const hashLabel = "pod-template-hash"

// onDeployment does what the API server does with a Deployment, and then what its controller does.
func (c *Cluster) onDeployment(action clienttesting.Action) (bool, runtime.Object, error) {
	var next *unstructured.Unstructured
	c.mu.Lock()
	defer c.mu.Unlock()
	switch a := action.(type) {
	case clienttesting.CreateActionImpl:
		next = a.GetObject().(*unstructured.Unstructured).DeepCopy()
	case clienttesting.UpdateActionImpl:
		next = a.GetObject().(*unstructured.Unstructured).DeepCopy()
	case clienttesting.PatchActionImpl:
		next = c.get("deployments", a.GetNamespace(), a.GetName())
		if next == nil {
			return true, nil, apierrors.NewNotFound(schema.GroupResource{Resource: "deployments"}, a.GetName())
		}
		var patch map[string]any
		if err := json.Unmarshal(a.GetPatch(), &patch); err != nil {
			return true, nil, err
		}
		merge(next.Object, patch)
	case clienttesting.DeleteActionImpl:
		for _, p := range c.podsOf(a.GetNamespace(), a.GetName()) {
			c.terminate(p, 0)
		}
		if c.get("deployments", a.GetNamespace(), a.GetName()) == nil {
			return false, nil, nil // the tracker knows what to say
		}
		// Here, under the lock: a controller that is at work would put back what it read before.
		c.drop("deployments", a.GetNamespace(), a.GetName())
		return true, nil, nil
	default:
		return false, nil, nil
	}
	old := c.get("deployments", action.GetNamespace(), next.GetName())
	next.SetGeneration(1)
	if old != nil {
		next.SetGeneration(old.GetGeneration())
		if !reflect.DeepEqual(old.Object["spec"], next.Object["spec"]) {
			next.SetGeneration(old.GetGeneration() + 1)
		}
		next.Object["status"] = old.Object["status"] // a subresource of its own
	}
	c.put("deployments", action.GetNamespace(), next.Object)
	c.after(0, func() { c.reconcile(next.GetNamespace(), next.GetName()) })
	return true, next, nil
}

// merge is RFC 7386's.
func merge(into, patch map[string]any) {
	for key, value := range patch {
		deeper, isMap := value.(map[string]any)
		inner, has := into[key].(map[string]any)
		switch {
		case value == nil:
			delete(into, key)
		case isMap && has:
			merge(inner, deeper)
		case isMap:
			fresh := map[string]any{}
			merge(fresh, deeper)
			into[key] = fresh
		default:
			if f, ok := value.(float64); ok {
				value = int64(f)
			}
			into[key] = value
		}
	}
}

// reconcile is the Deployment's controller: a new pod for each that is missing, and an old one's end when all the new are ready.
func (c *Cluster) reconcile(namespace, name string) {
	d := c.get("deployments", namespace, name)
	if d == nil {
		return
	}
	want := 1
	if n, ok, _ := unstructured.NestedInt64(d.Object, "spec", "replicas"); ok {
		want = int(n)
	}
	template, _, _ := unstructured.NestedMap(d.Object, "spec", "template")
	raw, _ := json.Marshal(template)
	sum := fnv.New32a()
	_, _ = sum.Write(raw)
	hash := fmt.Sprintf("%08x", sum.Sum32())

	var fresh, old []*unstructured.Unstructured
	for _, p := range c.podsOf(namespace, name) {
		switch {
		case p.GetDeletionTimestamp() != nil:
		case p.GetLabels()[hashLabel] == hash:
			fresh = append(fresh, p)
		default:
			old = append(old, p)
		}
	}
	for len(fresh) < want {
		fresh = append(fresh, c.newPod(namespace, name, hash, template))
	}
	for len(fresh) > want { // the newest first
		c.terminate(fresh[len(fresh)-1], Leave)
		fresh = fresh[:len(fresh)-1]
	}
	ready := 0
	for _, p := range fresh {
		if isReady(p) {
			ready++
		}
	}
	if ready == want {
		for _, p := range old {
			c.terminate(p, Leave)
		}
		old = nil
	}
	d.Object["status"] = map[string]any{
		"observedGeneration": d.GetGeneration(), "replicas": int64(len(fresh) + len(old)), "updatedReplicas": int64(len(fresh)),
		"readyReplicas": int64(ready + len(old)), "availableReplicas": int64(ready + len(old)),
	}
	c.put("deployments", namespace, d.Object)
}

// podsOf are an app's, oldest first.
func (c *Cluster) podsOf(namespace, app string) []*unstructured.Unstructured {
	var out []*unstructured.Unstructured
	for _, p := range c.list("pods", namespace) {
		if p.GetLabels()["app"] == app {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b *unstructured.Unstructured) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return out
}

func isReady(p *unstructured.Unstructured) bool {
	conditions, _, _ := unstructured.NestedSlice(p.Object, "status", "conditions")
	for _, c := range conditions {
		if m, ok := c.(map[string]any); ok && m["type"] == "Ready" {
			return m["status"] == "True"
		}
	}
	return false
}

// newPod makes one that gets ready after Join.
func (c *Cluster) newPod(namespace, app, hash string, template map[string]any) *unstructured.Unstructured {
	c.made++
	name := fmt.Sprintf("%s-%s-%03d", app, hash, c.made)
	spec, _, _ := unstructured.NestedMap(template, "spec")
	spec["nodeName"] = nodeName
	p := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": map[string]any{
			"name": name, "namespace": namespace, "labels": map[string]any{"app": app, hashLabel: hash},
			"creationTimestamp": time.Now().UTC().Format(time.RFC3339),
			"ownerReferences":   []any{map[string]any{"kind": "ReplicaSet", "name": app + "-" + hash, "controller": true}},
		},
		"spec": spec,
	}}
	if lacksImage(p) {
		c.setWaiting(p, "ErrImagePull")
	} else {
		c.setReady(p, 0, false)
	}
	c.after(Join, func() { c.getReady(namespace, name) })
	return p
}

// NoImage is an image that the cluster does not have. Its pods try twice to pull it, and never run.
const NoImage = "no-such-image"

// lacksImage says whether a pod's first container is of NoImage.
func lacksImage(p *unstructured.Unstructured) bool {
	containers, _, _ := unstructured.NestedSlice(p.Object, "spec", "containers")
	return len(containers) > 0 && containers[0].(map[string]any)["image"] == NoImage
}

func (c *Cluster) getReady(namespace, name string) {
	p := c.get("pods", namespace, name)
	if p == nil || p.GetDeletionTimestamp() != nil {
		return
	}
	if lacksImage(p) {
		c.setWaiting(p, "ImagePullBackOff")
		return
	}
	c.setReady(p, restarts(p), true)
	c.reconcile(namespace, p.GetLabels()["app"])
}

func restarts(p *unstructured.Unstructured) int64 {
	all, _, _ := unstructured.NestedSlice(p.Object, "status", "containerStatuses")
	if len(all) == 0 {
		return 0
	}
	n, _ := all[0].(map[string]any)["restartCount"].(int64)
	return n
}

// setReady writes a pod's status, and the endpoints that follow from it.
func (c *Cluster) setReady(p *unstructured.Unstructured, restarted int64, ready bool) {
	setStatus(p, restarted, ready)
	c.put("pods", p.GetNamespace(), p.Object)
	c.publish(p.GetNamespace())
}

// setStatus is that of a pod whose first container runs.
func setStatus(p *unstructured.Unstructured, restarted int64, ready bool) {
	containers, _, _ := unstructured.NestedSlice(p.Object, "spec", "containers")
	name := "main"
	if len(containers) > 0 {
		name, _ = containers[0].(map[string]any)["name"].(string)
	}
	status := "False"
	if ready {
		status = "True"
	}
	p.Object["status"] = map[string]any{
		"podIP": fmt.Sprintf("10.0.%d.%d", number(p)/200, 1+number(p)%200), "phase": "Running",
		"startTime":  time.Now().UTC().Format(time.RFC3339),
		"conditions": []any{map[string]any{"type": "Ready", "status": status}},
		"containerStatuses": []any{map[string]any{
			"name": name, "ready": ready, "restartCount": restarted, "image": "fake", "imageID": "docker.io/library/import@sha256:0123456789abcdef",
			"containerID": fmt.Sprintf("containerd://%s-%d", p.GetName(), restarted),
			"state":       map[string]any{"running": map[string]any{}},
		}},
	}
}

// setWaiting writes the status of a pod whose first container does not start.
func (c *Cluster) setWaiting(p *unstructured.Unstructured, reason string) {
	setStatus(p, 0, false)
	_ = unstructured.SetNestedField(p.Object, "Pending", "status", "phase")
	statuses, _, _ := unstructured.NestedSlice(p.Object, "status", "containerStatuses")
	statuses[0].(map[string]any)["image"] = NoImage
	statuses[0].(map[string]any)["state"] = map[string]any{"waiting": map[string]any{"reason": reason}}
	_ = unstructured.SetNestedSlice(p.Object, statuses, "status", "containerStatuses")
	c.put("pods", p.GetNamespace(), p.Object)
	c.publish(p.GetNamespace())
}

// number is the end of a pod's name.
func number(p *unstructured.Unstructured) int {
	var n int
	name := p.GetName()
	_, _ = fmt.Sscanf(name[len(name)-3:], "%d", &n)
	return n
}

// terminate marks a pod and removes it after its grace.
func (c *Cluster) terminate(p *unstructured.Unstructured, grace time.Duration) {
	if p.GetDeletionTimestamp() != nil {
		return
	}
	namespace, name := p.GetNamespace(), p.GetName()
	_ = unstructured.SetNestedField(p.Object, time.Now().UTC().Format(time.RFC3339), "metadata", "deletionTimestamp")
	c.put("pods", namespace, p.Object)
	c.publish(namespace)
	c.after(grace, func() {
		c.drop("pods", namespace, name)
		c.publish(namespace)
		c.reconcile(namespace, p.GetLabels()["app"])
	})
}

// onDeletePod ends a pod with the grace that is asked for, or its own.
func (c *Cluster) onDeletePod(action clienttesting.Action) (bool, runtime.Object, error) {
	a := action.(clienttesting.DeleteActionImpl)
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.get("pods", a.GetNamespace(), a.GetName())
	if p == nil {
		return true, nil, apierrors.NewNotFound(schema.GroupResource{Resource: "pods"}, a.GetName())
	}
	grace := Leave
	if g := a.GetDeleteOptions().GracePeriodSeconds; g != nil {
		grace = time.Duration(*g) * time.Second
	}
	c.terminate(p, grace)
	c.reconcile(a.GetNamespace(), p.GetLabels()["app"])
	return true, nil, nil
}
