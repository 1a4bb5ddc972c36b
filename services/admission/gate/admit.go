package gate

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/smaran-v2/smaran/services/admission"
	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/internal/apiserver"
)

const (
	// firstRetry is the pause after a call to the API server that failed; each further one is twice as long, up to lastRetry.
	firstRetry = 250 * time.Millisecond
	lastRetry  = 5 * time.Second
	// apiTime bounds one call.
	apiTime = 5 * time.Second
)

// admitter is whoever holds the Lease, for as long.
type admitter struct {
	Options
	pods *apiserver.Pods
	// since is when the first pod was ready that waits; zero while none does. It is seen here, not read from the pod, whose node may have
	// another time. So the next holder counts from its own start.
	since time.Time
	// done are pods that were let in and are not known to be yet.
	done map[types.UID]bool
	// failures in a row.
	failures int
}

func newAdmitter(o Options) *admitter {
	return &admitter{Options: o, pods: apiserver.NewPods(), done: map[types.UID]bool{}}
}

// run lets pods in until ctx ends.
func (a *admitter) run(ctx context.Context) {
	selector, ok := a.selector(ctx)
	if !ok {
		return
	}
	ctx, stop := context.WithCancel(ctx)
	var following sync.WaitGroup
	following.Go(func() { a.pods.Follow(ctx, a.API.Pods(selector), "pods with "+selector) })
	defer following.Wait()
	defer stop()
	for ctx.Err() == nil {
		told := a.Endpoints.Told()
		pods, changed := a.pods.Look()
		round := a.round(pods)
		wait := a.left(round)
		if len(round.ready) > 0 && wait <= 0 {
			a.admit(ctx, round)
			continue
		}
		a.wait(ctx, wait, told, changed)
	}
}

// selector of the Service. It is read once a term: who changes it changes what every pod is for. False means that ctx ended.
func (a *admitter) selector(ctx context.Context) (string, bool) {
	for ctx.Err() == nil {
		calling, cancel := admission.Within(ctx, a.Clock, apiTime)
		service, err := a.API.Service(calling, a.Service.Name)
		cancel()
		if err == nil {
			a.failures = 0
			return labels.SelectorFromSet(service.Spec.Selector).String(), true
		}
		a.Log.ErrorContext(ctx, "nobody is admitted: the Service cannot be read", "service", a.Service.String(), "error", err)
		a.pause(ctx)
	}
	return "", false
}

// round is what there is to do now.
type round struct {
	// ready are the pods that can be let in, late those that they wait for.
	ready, late []*corev1.Pod
	// now is the rotation, next the one with the pods in ready, and with those let in before that are not in it yet.
	now, next []endpoints.Endpoint
}

func (a *admitter) round(pods []*corev1.Pod) round {
	var r round
	var names []string
	known := map[types.UID]bool{}
	for _, pod := range pods {
		if !gated(pod, a.Gate) {
			continue
		}
		known[pod.UID] = true
		condition := apiserver.Is(pod, corev1.PodConditionType(a.Gate))
		if condition {
			delete(a.done, pod.UID)
		}
		switch whole := apiserver.Is(pod, corev1.ContainersReady); {
		case (condition || a.done[pod.UID]) && whole:
			names = append(names, pod.Name)
		case condition || a.done[pod.UID]: // its containers are started anew: the kubelet readies it by itself
		case whole:
			r.ready = append(r.ready, pod)
			names = append(names, pod.Name)
		default:
			r.late = append(r.late, pod)
		}
	}
	for uid := range a.done {
		if !known[uid] {
			delete(a.done, uid)
		}
	}
	r.now = inRotation(a.Endpoints.Current().Endpoints)
	r.next = inRotation(a.Endpoints.Once(names...))
	// One that has no endpoint yet can't be prepared for. The list will have it in a moment.
	r.ready = slices.DeleteFunc(r.ready, func(pod *corev1.Pod) bool {
		listed := slices.ContainsFunc(r.next, func(e endpoints.Endpoint) bool { return e.Pod == pod.Name })
		if !listed {
			r.late = append(r.late, pod)
		}
		return !listed
	})
	return r
}

func inRotation(list []endpoints.Endpoint) []endpoints.Endpoint {
	return slices.DeleteFunc(slices.Clone(list), func(e endpoints.Endpoint) bool { return !e.Health.InRotation() })
}

// left is how long the pods that are ready wait for others.
func (a *admitter) left(r round) time.Duration {
	if len(r.ready) == 0 {
		a.since = time.Time{}
		return 0
	}
	if a.since.IsZero() {
		a.since = a.Clock.Now()
	}
	if len(r.late) == 0 || len(r.now) == 0 {
		return 0
	}
	return admission.MaxGathering - a.Clock.Since(a.since)
}

// wait returns when the list or the pods have changed, after d if that is above 0, or when ctx ends.
func (a *admitter) wait(ctx context.Context, d time.Duration, told, changed <-chan struct{}) {
	var over <-chan time.Time
	if d > 0 {
		timer := a.Clock.NewTimer(d)
		defer timer.Stop()
		over = timer.Chan()
	}
	select {
	case <-told:
	case <-changed:
	case <-over:
	case <-ctx.Done():
	}
}

// admit has those in rotation prepare, and then sets the condition of the pods that are still there. One that can't be set is tried again
// in another round, which sends only what is missing by then.
func (a *admitter) admit(ctx context.Context, r round) {
	why := "nobody was in rotation"
	if len(r.now) > 0 {
		done := a.Prepare.Prepare(ctx, r.now, r.next)
		for _, failed := range done.Failed {
			a.Log.WarnContext(ctx, "a pod did not prepare", "pod", failed.Pod, "error", failed.Err)
		}
		why = done.String()
		a.Log.InfoContext(ctx, "prepared", "pods", done.Pods, "moving", done.Moving, "sent", done.Sent, "took", done.Took)
	}
	failed := false
	for _, pod := range r.ready {
		if ctx.Err() != nil {
			return
		}
		err := errGone
		if a.still(pod) {
			err = a.set(ctx, pod, why)
		}
		switch {
		case err == nil:
			a.done[pod.UID] = true
			a.Log.InfoContext(ctx, "admitted", "pod", pod.Name, "why", why)
		case errors.Is(err, errGone):
			a.Log.InfoContext(ctx, "not admitted: it is gone, or not ready any more", "pod", pod.Name)
		default:
			failed = true
			a.Log.ErrorContext(ctx, "not admitted; it is tried again", "pod", pod.Name, "error", err)
		}
	}
	if failed {
		a.pause(ctx)
		return
	}
	a.since, a.failures = time.Time{}, 0
}

// still is whether the very pod is there and would be in rotation with the condition.
func (a *admitter) still(pod *corev1.Pod) bool {
	list, _ := a.pods.Look()
	return slices.ContainsFunc(list, func(p *corev1.Pod) bool {
		return p.UID == pod.UID && gated(p, a.Gate) && apiserver.Is(p, corev1.ContainersReady)
	})
}

// pause is for the time after a failure.
func (a *admitter) pause(ctx context.Context) {
	d := min(firstRetry<<min(a.failures, 10), lastRetry)
	a.failures++
	a.wait(ctx, d, nil, nil)
}
