package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"connectrpc.com/connect"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
)

// maxPods is as many as may be asked for: a slip of the hand is not to fill a cluster.
const maxPods = 50

// Scale implements fleet.v1. The ReplicaSet chooses who leaves: pods that are not ready first, then the newest.
func (f *Fleet) Scale(ctx context.Context, r *connect.Request[fleetv1.ScaleRequest]) (*connect.Response[fleetv1.ScaleResponse], error) {
	n := r.Msg.GetPods()
	if n < 1 || n > maxPods {
		return nil, connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("%d pods, expected 1 to %d", n, maxPods))
	}
	err := f.change(ctx, func(ctx context.Context) error {
		if err := f.server.scale(ctx, jarvis, n); err != nil {
			return err
		}
		return f.whole(ctx, jarvis, int(n))
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&fleetv1.ScaleResponse{Endpoints: f.endpoints()}), nil
}

// Kill implements fleet.v1, by a deletion without grace: the kubelet sends SIGTERM, and SIGKILL right after.
func (f *Fleet) Kill(ctx context.Context, r *connect.Request[fleetv1.KillRequest]) (*connect.Response[fleetv1.KillResponse], error) {
	pod, err := f.delete(ctx, r.Msg.GetPod(), new(int64))
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&fleetv1.KillResponse{Pod: pod, Endpoints: f.endpoints()}), nil
}

// Stop implements fleet.v1, by a deletion with the pod's own grace.
func (f *Fleet) Stop(ctx context.Context, r *connect.Request[fleetv1.StopRequest]) (*connect.Response[fleetv1.StopResponse], error) {
	if r.Msg.GetPod() == "" {
		return nil, connect.NewError(connect.CodeInvalidArgument, errors.New("no pod is named"))
	}
	pod, err := f.delete(ctx, r.Msg.GetPod(), nil)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&fleetv1.StopResponse{Pod: pod, Endpoints: f.endpoints()}), nil
}

// delete removes a pod of jarvis, one at random where none is named, and waits for the one that the ReplicaSet makes in its place.
func (f *Fleet) delete(ctx context.Context, name string, grace *int64) (string, error) {
	err := f.change(ctx, func(ctx context.Context) error {
		all, _ := f.of(jarvis)
		var candidates []*corev1.Pod
		for _, p := range all {
			if !leaving(p) && (name == p.Name || name == "" && ready(p)) {
				candidates = append(candidates, p)
			}
		}
		if len(candidates) == 0 { // whatever else has that name is not the stage's to delete
			return connect.NewError(connect.CodeNotFound, fmt.Errorf("no pod of the fleet is called %q, or all are going already", name))
		}
		name = candidates[rand.IntN(len(candidates))].Name
		if err := f.server.remove(ctx, name, grace); err != nil {
			return err
		}
		return f.replaced(ctx, jarvis, name)
	})
	return name, err
}

// KillSmaran implements fleet.v1, as Kill does.
func (f *Fleet) KillSmaran(ctx context.Context, _ *connect.Request[fleetv1.KillSmaranRequest]) (*connect.Response[fleetv1.KillSmaranResponse], error) {
	err := f.change(ctx, func(ctx context.Context) error {
		all, _ := f.of(smaran)
		for _, p := range all {
			if !leaving(p) {
				if err := f.server.remove(ctx, p.Name, new(int64)); err != nil {
					return err
				}
				return f.replaced(ctx, smaran, p.Name)
			}
		}
		return connect.NewError(connect.CodeNotFound, errors.New("there is no smaran"))
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&fleetv1.KillSmaranResponse{}), nil
}

// Rollout implements fleet.v1, as kubectl rollout restart does.
func (f *Fleet) Rollout(ctx context.Context, _ *connect.Request[fleetv1.RolloutRequest]) (*connect.Response[fleetv1.RolloutResponse], error) {
	err := f.change(ctx, func(ctx context.Context) error {
		before := map[string]bool{}
		all, _ := f.of(jarvis)
		for _, p := range all {
			before[p.Name] = true
		}
		d, err := f.server.deployment(ctx, jarvis)
		if err != nil {
			return err
		}
		if err := f.server.restart(ctx, jarvis, f.options.Clock.Now()); err != nil {
			return err
		}
		return f.until(ctx, jarvis, func(all []*corev1.Pod) bool {
			fresh := count(all, func(p *corev1.Pod) bool { return ready(p) && !before[p.Name] })
			return fresh == len(all) && fresh == replicas(d.Spec.Replicas)
		})
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&fleetv1.RolloutResponse{Endpoints: f.endpoints()}), nil
}

// SetRedis implements fleet.v1. One that comes back is empty: it keeps nothing on disk.
func (f *Fleet) SetRedis(ctx context.Context, r *connect.Request[fleetv1.SetRedisRequest]) (*connect.Response[fleetv1.SetRedisResponse], error) {
	n := uint32(0)
	if r.Msg.GetUp() {
		n = 1
	}
	err := f.change(ctx, func(ctx context.Context) error {
		if err := f.server.scale(ctx, redis, n); err != nil {
			return err
		}
		return f.whole(ctx, redis, int(n))
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&fleetv1.SetRedisResponse{}), nil
}

// onTheNode is what to type instead, where a node is a container.
const onTheNode = "signals are sent on the node: on kind docker exec NODE pkill -STOP -o jarvis freezes the oldest pod, -CONT thaws it"

// Freeze implements fleet.v1: it is not possible.
func (f *Fleet) Freeze(context.Context, *connect.Request[fleetv1.FreezeRequest]) (*connect.Response[fleetv1.FreezeResponse], error) {
	return nil, connect.NewError(connect.CodeUnimplemented, errors.New(onTheNode))
}

// Thaw implements fleet.v1: it is not possible.
func (f *Fleet) Thaw(context.Context, *connect.Request[fleetv1.ThawRequest]) (*connect.Response[fleetv1.ThawResponse], error) {
	return nil, connect.NewError(connect.CodeUnimplemented, errors.New(onTheNode))
}

// off is what is missing where nothing may be changed.
const off = "the stage may only look here: kubectl apply -k deploy/variants/stage-controls lets it change the fleet"

// change makes one change at a time, and says what went wrong in Connect's terms.
func (f *Fleet) change(ctx context.Context, do func(context.Context) error) error {
	if !f.options.Controls {
		return connect.NewError(connect.CodePermissionDenied, errors.New(off))
	}
	f.changing.Lock()
	defer f.changing.Unlock()
	return f.refused(do(ctx))
}

func (f *Fleet) refused(err error) error {
	var said *connect.Error
	switch {
	case err == nil, errors.As(err, &said):
		return err
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return connect.NewError(connect.CodePermissionDenied, fmt.Errorf("%w; %s", err, off))
	case apierrors.IsNotFound(err):
		return connect.NewError(connect.CodeNotFound, err)
	case errors.Is(err, context.DeadlineExceeded):
		return connect.NewError(connect.CodeDeadlineExceeded, err)
	case errors.Is(err, context.Canceled):
		return connect.NewError(connect.CodeCanceled, err)
	}
	return connect.NewError(connect.CodeUnavailable, err)
}

// whole waits until an app has so many pods, all ready, and none that leaves.
func (f *Fleet) whole(ctx context.Context, app string, n int) error {
	return f.until(ctx, app, func(all []*corev1.Pod) bool { return len(all) == n && count(all, ready) == n })
}

// replaced waits until a pod is gone, and all that there are to be are ready.
func (f *Fleet) replaced(ctx context.Context, app, gone string) error {
	d, err := f.server.deployment(ctx, app)
	if err != nil {
		return err
	}
	n := replicas(d.Spec.Replicas)
	return f.until(ctx, app, func(all []*corev1.Pod) bool {
		return len(all) == n && count(all, ready) == n && count(all, func(p *corev1.Pod) bool { return p.Name == gone }) == 0
	})
}

// replicas that a Deployment is to have: Kubernetes' default where it says nothing.
func replicas(n *int32) int {
	if n == nil {
		return 1
	}
	return int(*n)
}

// changeTimeout bounds a change, for pods that never become ready. A rollout of ten pods that drain for 30 s each takes 7 minutes.
const changeTimeout = 10 * time.Minute

// until waits for an app's pods to be as they should.
func (f *Fleet) until(ctx context.Context, app string, are func([]*corev1.Pod) bool) error {
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	for {
		all, changed := f.of(app)
		if are(all) {
			return nil
		}
		select {
		case <-changed:
		case <-f.done:
			return context.Canceled
		case <-ctx.Done():
			return fmt.Errorf("%d of %s's %d pods are ready: %w", count(all, ready), app, len(all), ctx.Err())
		}
	}
}
