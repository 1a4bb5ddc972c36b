package istio

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/smaran-v2/smaran/loadtest/internal/claims"
	"github.com/smaran-v2/smaran/loadtest/internal/kube"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/cluster"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/view"
	"github.com/smaran-v2/smaran/loadtest/internal/probe"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// Where istiod is, in every installation of Istio that is not revisioned.
const (
	istioSystem = "istio-system"
	istiod      = "istiod"
)

// Claim 19's fleet and load.
const (
	outagePods     = 3
	outageSessions = 60
	outageRequests = 300
	// latecomer is a pod without a sidecar: one with needs istiod to be made at all.
	latecomer = "late"
	// noticeTime is what an Envoy gets to hear of a new pod in; with istiod it takes a second or two.
	noticeTime = 15 * time.Second
	deadTime   = 3 * time.Second
)

// stopped is what was found while there was no istiod.
type stopped struct {
	asked, failed, moved int
	// injected is whether a new pod with a sidecar was made; late whether the one without got ready, and lateAsked what it was asked.
	injected, late bool
	lateAsked      int
	// deadAsked are requests of sessions whose pod was killed, and deadFailed those that failed.
	deadAsked, deadFailed int
	// orphans are those sessions, and orphaned of their requests failed once istiod was back.
	orphans  []string
	orphaned int
	// back is how long after istiod's return the latecomer was known, and backAsked what it was asked then.
	back      time.Duration
	backAsked int
}

// outage is claim 19. It stops istiod for all of the cluster, and starts it again whatever happens.
func outage(ctx context.Context, n *namespace) (_ claims.Finding, err error) {
	if err := n.deploy(ctx, probes{name: inside}, probes{name: jarvis, replicas: outagePods}); err != nil {
		return claims.Finding{}, err
	}
	if err := n.tell(ctx, "istio-hash", nil, "Service "+kube.JarvisService, "DestinationRule "+jarvisRule, "VirtualService "+jarvisRouting); err != nil {
		return claims.Finding{}, err
	}
	if err := n.knows(ctx, inside, kube.JarvisService, outagePods); err != nil {
		return claims.Finding{}, err
	}
	homes, err := n.homes(ctx)
	if err != nil {
		return claims.Finding{}, err
	}
	if missing := n.spread(homes); missing != "" {
		return claims.Finding{}, fmt.Errorf("%w: before the outage: %s", ErrProbe, missing)
	}
	var s stopped
	replicas, err := n.stop(ctx)
	if err != nil {
		return claims.Finding{}, err
	}
	restarted := false
	defer func() {
		if restarted {
			return
		}
		restoring, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
		defer cancel()
		err = errors.Join(err, n.scaleIstiod(restoring, replicas))
	}()
	if err := n.meanwhile(ctx, homes, &s); err != nil {
		return claims.Finding{}, err
	}
	if err := n.scaleIstiod(ctx, replicas); err != nil {
		return claims.Finding{}, err
	}
	restarted = true
	begin := time.Now()
	pod, err := n.pod(latecomer)
	if err != nil {
		return claims.Finding{}, err
	}
	err = n.until(ctx, "the new pod to get a request", func(ctx context.Context) (bool, error) {
		answers, err := n.ask(ctx, inside, n.picks())
		s.backAsked = askedOf(pod.Name, answers)
		return s.backAsked > 0, err
	})
	s.back = time.Since(begin)
	if err != nil {
		return claims.Finding{}, err
	}
	if _, s.orphaned, err = n.orphans(ctx, s.orphans); err != nil {
		return claims.Finding{}, err
	}
	return judgeOutage(s), nil
}

// picks are requests of all sessions.
func (n *namespace) picks() probe.Batch {
	return probe.Batch{
		URL: url(kube.JarvisService, "/"), Sessions: sessions("outage", outageSessions), Requests: outageRequests, Concurrency: 4, Timeout: deadTime,
	}
}

// homes is each session's pod. All requests must be answered.
func (n *namespace) homes(ctx context.Context) (map[string]string, error) {
	answers, err := n.ask(ctx, inside, n.picks())
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, a := range answers {
		if !a.OK() {
			return nil, fmt.Errorf("%w: %s: %s", ErrProbe, a.Session, reason(a))
		}
		out[a.Session] = a.Pod
	}
	return out, nil
}

// spread says which pod has no session, "" if each has.
func (n *namespace) spread(homes map[string]string) string {
	at := map[string]bool{}
	for _, pod := range homes {
		at[pod] = true
	}
	if len(at) != outagePods {
		return fmt.Sprintf("sessions at %d pods of %d", len(at), outagePods)
	}
	return ""
}

func askedOf(pod string, answers []probe.Answer) (n int) {
	for _, a := range answers {
		if a.Pod == pod {
			n++
		}
	}
	return n
}

// stop scales istiod to nothing, and returns how many there were. It waits until the last one has ended.
func (n *namespace) stop(ctx context.Context) (int32, error) {
	d, err := cluster.Deployments().Get(ctx, n.Cluster, istioSystem, istiod)
	if err != nil {
		return 0, err
	}
	replicas := int32(1)
	if d.Spec.Replicas != nil {
		replicas = *d.Spec.Replicas
	}
	if replicas == 0 {
		return 0, fmt.Errorf("%w: a running istiod: kubectl --namespace %s scale deployment/%s --replicas 1", ErrMissing, istioSystem, istiod)
	}
	if err := n.scaleIstiod(ctx, 0); err != nil {
		return 0, err
	}
	err = n.until(ctx, "istiod to end", func(ctx context.Context) (bool, error) {
		pods, err := cluster.Pods().List(ctx, n.Cluster, istioSystem, "app="+istiod)
		return len(pods) == 0, err
	})
	if err == nil {
		return replicas, nil
	}
	restoring, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
	defer cancel()
	return 0, errors.Join(err, n.scaleIstiod(restoring, replicas))
}

func (n *namespace) scaleIstiod(ctx context.Context, replicas int32) error {
	return scale(ctx, n.Cluster, istioSystem, istiod, replicas)
}

// scale sets the replicas of a Deployment.
func scale(ctx context.Context, c *cluster.Client, namespace, name string, replicas int32) error {
	patch := map[string]any{"spec": map[string]any{"replicas": replicas}}
	return cluster.Deployments().Merge(ctx, c, namespace, name, patch, "scale")
}

// meanwhile is what is tried without istiod: the same sessions, a new pod with and one without a sidecar, and a dead one.
func (n *namespace) meanwhile(ctx context.Context, homes map[string]string, s *stopped) error {
	answers, err := n.ask(ctx, inside, n.picks())
	if err != nil {
		return err
	}
	s.asked = len(answers)
	for _, a := range answers {
		switch {
		case !a.OK():
			s.failed++
		case a.Pod != homes[a.Session]:
			s.moved++
		}
	}
	late, err := probes{name: latecomer, app: jarvis, bare: true}.object(n.Image)
	if err != nil {
		return err
	}
	if err := n.apply(ctx, late); err != nil {
		return err
	}
	if err := scale(ctx, n.Cluster, n.name, jarvis, outagePods+1); err != nil {
		return err
	}
	if err := n.rolledOut(ctx, latecomer); err != nil {
		return err
	}
	s.late = true
	if err := pause(ctx, noticeTime); err != nil {
		return err
	}
	s.injected = n.made(jarvis) > outagePods
	pod, err := n.pod(latecomer)
	if err != nil {
		return err
	}
	if answers, err = n.ask(ctx, inside, n.picks()); err != nil {
		return err
	}
	s.lateAsked = askedOf(pod.Name, answers)
	return n.dead(ctx, homes, s)
}

// made is how many pods of a Deployment exist, ready or not.
func (n *namespace) made(deployment string) (count int) {
	for _, p := range n.view.Now().Pods {
		if p.Labels[deploymentLabel] == deployment {
			count++
		}
	}
	return count
}

// dead kills a pod, and asks for its sessions.
func (n *namespace) dead(ctx context.Context, homes map[string]string, s *stopped) error {
	victim := n.pods(jarvis)[0].Name
	if err := cluster.Pods().Delete(ctx, n.Cluster, n.name, victim, 0); err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, effectTime)
	defer cancel()
	if err := n.view.Await(waiting, func(v view.State) (string, error) { return gone(v.Pods, victim), nil }); err != nil {
		return err
	}
	for id, pod := range homes {
		if pod == victim {
			s.orphans = append(s.orphans, id)
		}
	}
	var err error
	s.deadAsked, s.deadFailed, err = n.orphans(ctx, s.orphans)
	return err
}

// orphans asks once for each of the sessions.
func (n *namespace) orphans(ctx context.Context, ids []string) (asked, failed int, err error) {
	b := n.picks()
	b.Sessions, b.Requests, b.Concurrency = ids, len(ids), len(ids)
	answers, err := n.ask(ctx, inside, b)
	for _, a := range answers {
		if !a.OK() {
			failed++
		}
	}
	return len(answers), failed, err
}

func gone(pods map[string]*corev1.Pod, name string) string {
	if _, there := pods[name]; there {
		return "pod " + name + " to go"
	}
	return ""
}

func judgeOutage(s stopped) claims.Finding {
	f := claims.Finding{
		Measured: fmt.Sprintf("without istiod: %d of %d requests failed and %d sessions' picks changed; a new pod with a sidecar was made: %t; a new pod without one got %d of %d requests in %.0f s, and %d once istiod was back (%.1f s); of a killed pod's sessions %d of %d requests failed, and %d once istiod was back",
			s.failed, s.asked, s.moved, s.injected, s.lateAsked, outageRequests, noticeTime.Seconds(), s.backAsked, s.back.Seconds(), s.deadFailed, s.deadAsked, s.orphaned),
		Figures: map[string]float64{
			"asked": float64(s.asked), "failed": float64(s.failed), "moved": float64(s.moved), "injected": number(s.injected),
			"new_pod_requests": float64(s.lateAsked), "new_pod_requests_after": float64(s.backAsked), "back_s": s.back.Seconds(),
			"dead_asked": float64(s.deadAsked), "dead_failed": float64(s.deadFailed), "dead_failed_after": float64(s.orphaned),
		},
	}
	const certificates = "certificates, too, come from istiod and last a day by default"
	goesOn := s.failed == 0 && s.moved == 0
	changes := s.injected && s.lateAsked > 0 && s.deadFailed == 0
	switch {
	case !s.late || s.backAsked == 0 || s.orphaned > 0:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_MEASURABLE_HERE
		f.Note = "with istiod, too, the new pod got no request, or the dead one's sessions none that was answered"
	case !goesOn:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_REPRODUCED
	case changes:
		f.Verdict = reportv1.Verdict_VERDICT_REPRODUCED
	default:
		f.Verdict = reportv1.Verdict_VERDICT_DEPENDS
		f.Note = "on whether anything changes: picks go on without istiod, but nobody hears of a new pod, or of a dead one; " + certificates
	}
	return f
}
