package istio

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/smaran-v2/smaran/loadtest/internal/kube/overlay"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/view"
)

// Bounds of waiting. Ten pods that start at once on two CPUs take most of a minute.
const (
	readyTime  = 3 * time.Minute
	effectTime = 2 * time.Minute
	closeTime  = 30 * time.Second
	// endTime is how long the pods of an experiment may take to end: their grace, of 30 s at most, and the kubelet's own pace.
	endTime   = 90 * time.Second
	pollEvery = 500 * time.Millisecond
)

// componentLabel marks the experiments' namespaces: should one be left behind, `kubectl delete namespace -l …=claims` finds it.
const componentLabel = "app.kubernetes.io/component"

// namespace is where an experiment lives. Its name begins with claim-NUMBER.
type namespace struct {
	Env
	name string
	view *view.View
}

// open makes a namespace with injection.
func open(ctx context.Context, env Env, claim uint32) (*namespace, error) {
	name := fmt.Sprintf("claim-%d-%s", claim, strings.ToLower(rand.Text()[:6]))
	n := &namespace{Env: env, name: name}
	if err := env.Cluster.Put(ctx, n.self()); err != nil {
		return nil, err
	}
	var err error
	if n.view, err = view.Follow(ctx, env.Cluster, name, env.Log, nil); err != nil {
		return nil, errors.Join(err, n.close(ctx))
	}
	return n, nil
}

// self is the namespace as an object.
func (n *namespace) self() *unstructured.Unstructured {
	o := &unstructured.Unstructured{}
	o.SetAPIVersion("v1")
	o.SetKind("Namespace")
	o.SetName(n.name)
	o.SetLabels(map[string]string{"istio-injection": "enabled", overlay.PartOfLabel: overlay.Project, componentLabel: "claims"})
	return o
}

// close deletes the namespace with all that is in it, also when ctx has ended. While ctx lasts it waits until the pods have ended, for
// endTime at most: the next experiment's latencies would share the CPUs with them.
func (n *namespace) close(ctx context.Context) error {
	if n.view != nil {
		defer n.view.Close()
	}
	deleting, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
	defer cancel()
	if err := n.Cluster.Remove(deleting, n.self()); err != nil || n.view == nil {
		return err
	}
	ending, cancel := context.WithTimeout(ctx, endTime)
	defer cancel()
	err := n.view.Await(ending, func(s view.State) (string, error) {
		if len(s.Pods) == 0 {
			return "", nil
		}
		return fmt.Sprintf("the end of %d pods", len(s.Pods)), nil
	})
	if err != nil && ctx.Err() == nil { // what was found is good
		n.Log.Warn("pods of an experiment go on; they may slow the next one down", "namespace", n.name, "error", err)
	}
	return nil
}

// apply makes objects in the namespace.
func (n *namespace) apply(ctx context.Context, objects ...*unstructured.Unstructured) error {
	for _, o := range objects {
		o = o.DeepCopy()
		o.SetNamespace(n.name)
		if err := n.Cluster.Put(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

// rolledOut waits until Deployments have all their pods, of the current template, and no others that serve.
func (n *namespace) rolledOut(ctx context.Context, deployments ...string) error {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	return n.view.Await(ctx, func(s view.State) (string, error) {
		for _, p := range s.Pods {
			switch why := view.Trouble(p); {
			case errors.Is(why, view.ErrImage):
				return "", fmt.Errorf("%w: %w; those of this project are built and loaded by scripts/images && scripts/kind-load", ErrMissing, why)
			case why != nil:
				return "", fmt.Errorf("%w: %w", ErrMissing, why)
			}
		}
		for _, name := range deployments {
			if missing := view.RolledOut(s.Deployments[name]); missing != "" {
				return missing, nil
			}
		}
		return "", nil
	})
}

// pods are a Deployment's that are ready. The project's own have its name as their app.
func (n *namespace) pods(deployment string) (out []*corev1.Pod) {
	for _, p := range n.view.Now().Pods {
		name, ours := p.Labels[deploymentLabel]
		if !ours {
			name = p.Labels[appLabel]
		}
		if name == deployment && view.Ready(p) {
			out = append(out, p)
		}
	}
	return out
}

// pod is the one of a Deployment with one replica.
func (n *namespace) pod(deployment string) (*corev1.Pod, error) {
	pods := n.pods(deployment)
	if len(pods) != 1 {
		return nil, fmt.Errorf("%d pods of %s in %s are ready, expected one", len(pods), deployment, n.name)
	}
	return pods[0], nil
}

// until asks again until it is so, for effectTime at most. The last error is told where it never was.
func (n *namespace) until(ctx context.Context, what string, so func(context.Context) (bool, error)) error {
	return n.untilEvery(ctx, pollEvery, what, so)
}

// untilEvery is until where the time that it takes is measured: that is as exact as every.
func (n *namespace) untilEvery(ctx context.Context, every time.Duration, what string, so func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, effectTime)
	defer cancel()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		ok, err := so(ctx)
		if ok {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("%w for %s: %w", view.ErrWaited, what, context.Cause(ctx)), err)
		}
	}
}

// pause waits for a time that is part of what is measured.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
