package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/smaran-v2/smaran/loadtest/internal/kube/cluster"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/node"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/view"
	"github.com/smaran-v2/smaran/loadtest/internal/scenario"
	"github.com/smaran-v2/smaran/services/endpoints"
)

// Do implements driver.Fleet.
func (f *fleet) Do(ctx context.Context, e scenario.Event) (pod string, err error) {
	select {
	case f.turn <- struct{}{}:
		defer func() { <-f.turn }()
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	switch e.Kind {
	case scenario.KindScale:
		return "", f.scale(ctx, e.Pods)
	case scenario.KindKill:
		return f.kill(ctx, e.Pod)
	case scenario.KindStop:
		return f.stop(ctx, e.Pod)
	case scenario.KindFreeze:
		return f.freeze(ctx, e.Pod)
	case scenario.KindThaw:
		return e.Pod, f.thaw(ctx, e.Pod)
	case scenario.KindRollout:
		return "", f.rollout(ctx)
	case scenario.KindRedis:
		return "", f.setRedis(ctx, e.Up)
	case scenario.KindSmaran:
		return f.killSmaran(ctx)
	default:
		return "", fmt.Errorf("%w: a cluster can't %s", scenario.ErrEvent, e.Name())
	}
}

// replicas sets a Deployment's number of pods, as `kubectl scale` does.
func (f *fleet) replicas(ctx context.Context, name string, n int) error {
	return cluster.Deployments().Merge(ctx, f.driver.Cluster, Namespace, name, map[string]any{"spec": map[string]any{"replicas": n}}, "scale")
}

// scale returns once as many pods are listed and those to go are gone.
func (f *fleet) scale(ctx context.Context, pods int) error {
	if err := f.replicas(ctx, Jarvis, pods); err != nil {
		return err
	}
	return f.awaitPods(ctx, pods)
}

// awaitPods waits for a change of jarvis that was made just now: the Deployment as it was seen last may be of before it.
func (f *fleet) awaitPods(ctx context.Context, pods int) error {
	d, err := cluster.Deployments().Get(ctx, f.driver.Cluster, Namespace, Jarvis)
	if err != nil {
		return err
	}
	return f.view.Await(ctx, func(s view.State) (string, error) {
		if seen := s.Deployments[Jarvis]; seen == nil || seen.Generation < d.Generation {
			return "the change of " + Jarvis + " to be seen", nil
		}
		return f.jarvisIs(s, pods)
	})
}

// want is how many pods jarvis is to have.
func (f *fleet) want(ctx context.Context) (int, error) {
	d, err := cluster.Deployments().Get(ctx, f.driver.Cluster, Namespace, Jarvis)
	if err != nil {
		return 0, err
	}
	if d.Spec.Replicas == nil {
		return 1, nil
	}
	return int(*d.Spec.Replicas), nil
}

// rollout replaces every pod, as `kubectl rollout restart` does.
func (f *fleet) rollout(ctx context.Context) error {
	pods, err := f.want(ctx)
	if err != nil {
		return err
	}
	restarted := map[string]any{"kubectl.kubernetes.io/restartedAt": f.driver.Clock.Now().UTC().Format(time.RFC3339Nano)}
	patch := map[string]any{"spec": map[string]any{"template": map[string]any{"metadata": map[string]any{"annotations": restarted}}}}
	if err := cluster.Deployments().Merge(ctx, f.driver.Cluster, Namespace, Jarvis, patch); err != nil {
		return err
	}
	return f.awaitPods(ctx, pods)
}

// stop deletes a pod with its own grace; the ReplicaSet makes another at once.
func (f *fleet) stop(ctx context.Context, name string) (string, error) {
	p, err := f.victim(name)
	if err != nil {
		return "", err
	}
	pods, err := f.want(ctx)
	if err != nil {
		return "", err
	}
	if err := cluster.Pods().Delete(ctx, f.driver.Cluster, Namespace, p.Name, -1); err != nil {
		return "", err
	}
	return p.Name, f.view.Await(ctx, func(s view.State) (string, error) {
		if s.Pods[p.Name] != nil {
			return "pod " + p.Name + " to end", nil
		}
		return f.jarvisIs(s, pods)
	})
}

// victim is a pod by its name, or, without one, one that the seed picks among those in rotation, oldest first.
func (f *fleet) victim(name string) (*corev1.Pod, error) {
	var candidates []*corev1.Pod
	for _, p := range f.view.Now().PodsOf(Jarvis) {
		_, isFrozen := f.frozen[p.Name]
		if view.Ready(p) && !isFrozen && (name == "" || p.Name == name) {
			candidates = append(candidates, p)
		}
	}
	switch {
	case len(candidates) > 0:
		return candidates[f.rng.IntN(len(candidates))], nil
	case name != "":
		return nil, fmt.Errorf("%w: %s is not there, or not ready", ErrPod, name)
	default:
		return nil, fmt.Errorf("%w: none is ready", ErrPod)
	}
}

// kill ends a pod's process and returns once the kubelet has started it anew and it is listed again.
func (f *fleet) kill(ctx context.Context, name string) (string, error) {
	p, err := f.victim(name)
	if err != nil {
		return "", err
	}
	return p.Name, f.killContainer(ctx, p, Jarvis, func(s view.State) string {
		for _, e := range listed(s) {
			if e.Pod == p.Name && e.Health == endpoints.Healthy {
				return ""
			}
		}
		return "pod " + p.Name + " to be listed again"
	})
}

// killSmaran ends the coordinator's process, in one of its pods if there are several, and returns once it serves again.
func (f *fleet) killSmaran(ctx context.Context) (string, error) {
	pods := slices.DeleteFunc(f.view.Now().PodsOf(Smaran), func(p *corev1.Pod) bool { return !view.Ready(p) })
	if len(pods) == 0 {
		return "", fmt.Errorf("%w: no pod of %s is ready", ErrPod, Smaran)
	}
	p := pods[f.rng.IntN(len(pods))]
	return p.Name, f.killContainer(ctx, p, smaranContainer, func(view.State) string { return "" })
}

func (f *fleet) killContainer(ctx context.Context, p *corev1.Pod, container string, also func(view.State) (missing string)) error {
	c, err := f.container(ctx, p, container)
	if err != nil {
		return err
	}
	before := view.Container(p, container).RestartCount
	if err := f.driver.Signals.Signal(ctx, c, node.Kill); err != nil {
		return err
	}
	return f.view.Await(ctx, func(s view.State) (string, error) {
		now := s.Pods[p.Name]
		if now == nil {
			return "", fmt.Errorf("%w: %s was deleted meanwhile", ErrPod, p.Name)
		}
		if status := view.Container(now, container); status == nil || status.RestartCount <= before || !status.Ready || !view.Ready(now) {
			return "pod " + p.Name + " to be ready again", nil
		}
		return also(s), nil
	})
}

// container finds out where a pod's container runs.
func (f *fleet) container(ctx context.Context, p *corev1.Pod, name string) (node.Container, error) {
	status := view.Container(p, name)
	if status == nil || status.ContainerID == "" {
		return node.Container{}, fmt.Errorf("%w: %s has no running container %s", ErrPod, p.Name, name)
	}
	n, err := cluster.Nodes().Get(ctx, f.driver.Cluster, "", p.Spec.NodeName)
	if err != nil {
		return node.Container{}, err
	}
	return node.Container{Node: n.Name, ProviderID: n.Spec.ProviderID, ID: status.ContainerID}, nil
}

func (f *fleet) freeze(ctx context.Context, name string) (string, error) {
	p, err := f.victim(name)
	if err != nil {
		return "", err
	}
	c, err := f.container(ctx, p, Jarvis)
	if err != nil {
		return "", err
	}
	f.frozen[p.Name] = c // before: an interrupt may cut the answer off, and not the signal
	if err := f.driver.Signals.Signal(ctx, c, node.Stop); err != nil {
		if !errors.Is(err, node.ErrUncertain) {
			delete(f.frozen, p.Name)
		}
		return "", err
	}
	return p.Name, nil
}

// thaw lets one pod go on, or all that are frozen. One that the kubelet has killed meanwhile is frozen no more.
func (f *fleet) thaw(ctx context.Context, name string) error {
	if _, ok := f.frozen[name]; name != "" && !ok {
		return fmt.Errorf("%w: %s is not frozen", ErrPod, name)
	}
	var errs []error
	for pod, c := range f.frozen {
		if name != "" && pod != name {
			continue
		}
		if err := f.thawContainer(ctx, pod, c); err != nil {
			errs = append(errs, err)
			continue
		}
		delete(f.frozen, pod)
	}
	return errors.Join(errs...)
}

// thawContainer asks the API server for the pod: the view is closed where a fleet is taken down again.
func (f *fleet) thawContainer(ctx context.Context, pod string, c node.Container) error {
	p, err := cluster.Pods().Get(ctx, f.driver.Cluster, Namespace, pod)
	if errors.Is(err, cluster.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if status := view.Container(p, Jarvis); status == nil || status.ContainerID != c.ID {
		return nil
	}
	return f.driver.Signals.Signal(ctx, c, node.Continue)
}

// thawAll waits for the event under way, and thaws all that are frozen.
func (f *fleet) thawAll(ctx context.Context) error {
	select {
	case f.turn <- struct{}{}:
		defer func() { <-f.turn }()
		return f.thaw(ctx, "")
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// setRedis returns once Redis is gone, or up and empty.
func (f *fleet) setRedis(ctx context.Context, up bool) error {
	n := 0
	if up {
		n = 1
	}
	if err := f.replicas(ctx, redis, n); err != nil {
		return err
	}
	return f.view.Await(ctx, func(s view.State) (string, error) {
		d := s.Deployments[redis]
		if d == nil || d.Spec.Replicas == nil || int(*d.Spec.Replicas) != n {
			return "the change of redis to be seen", nil
		}
		if missing := view.RolledOut(d); missing != "" {
			return missing, nil
		}
		if have := len(s.PodsOf(redis)); have != n {
			return fmt.Sprintf("%d pods of redis (now %d)", n, have), nil
		}
		return "", nil
	})
}
