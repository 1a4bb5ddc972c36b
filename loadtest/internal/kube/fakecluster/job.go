package fakecluster

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clienttesting "k8s.io/client-go/testing"
)

// onJob makes the Job's pod, which runs at once.
func (c *Cluster) onJob(action clienttesting.Action) (bool, runtime.Object, error) {
	job := action.(clienttesting.CreateActionImpl).GetObject().(*unstructured.Unstructured)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.get("jobs", job.GetNamespace(), job.GetName()) != nil {
		return false, nil, nil
	}
	job.SetUID(types.UID(fmt.Sprintf("job-%d", c.made)))
	template, _, _ := unstructured.NestedMap(job.Object, "spec", "template")
	p := c.newPod(job.GetNamespace(), job.GetName(), "job", template)
	if !lacksImage(p) {
		c.setReady(p, 0, true)
	}
	return false, nil, nil
}

// onDeleteJob ends its pod.
func (c *Cluster) onDeleteJob(action clienttesting.Action) (bool, runtime.Object, error) {
	a := action.(clienttesting.DeleteActionImpl)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.podsOf(a.GetNamespace(), a.GetName()) {
		c.terminate(p, time.Second)
	}
	return false, nil, nil
}
