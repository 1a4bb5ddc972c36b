package gate_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	k8stesting "k8s.io/client-go/testing"

	"github.com/smaran-v2/smaran/services/admission"
)

// Addresses of new pods, which need not answer: before and after those of the pods in rotation, which are on 127.0.0.1.
const first, last, final = "10.0.0.1:8080", "192.0.2.1:8080", "192.0.2.2:8080"

func TestPodsThatComeTogetherAreAdmittedTogether(t *testing.T) {
	c := newCluster(t)
	a := c.inRotation("a", nil)
	c.pod("b", true)
	c.pod("c", false)
	c.list.put("b", last, false)
	c.list.put("c", first, false)
	c.started("a")
	c.awaitTimer()
	require.Nil(t, c.admitted("b"), "it waits for c")
	require.Empty(t, a.asked)

	c.ready("c")
	c.awaitAdmitted("b", "c")
	require.Equal(t, []string{"c", "a", "b"}, <-a.asked, "as the list will have them")
	require.Empty(t, a.asked, "once for both")
	got := c.admitted("b")
	require.Equal(t, "Prepared", got.Reason)
	require.Equal(t, "prepared for 3 pods in 0s: 2 of 2 sessions that move are there", got.Message)
	require.WithinDuration(t, c.clock.Now(), got.LastTransitionTime.Time, time.Second)
	require.Contains(t, c.get("b").Status.Conditions, status(corev1.ContainersReady, true), "the kubelet's stay")
}

func TestALatePodIsNotWaitedForLonger(t *testing.T) {
	c := newCluster(t)
	a := c.inRotation("a", nil)
	c.pod("b", true)
	c.pod("c", false)
	c.list.put("b", last, false)
	c.list.put("c", first, false)
	c.started("a")
	c.awaitTimer()
	c.clock.Advance(admission.MaxGathering - time.Millisecond)
	c.awaitTimer()
	require.Nil(t, c.admitted("b"))
	c.clock.Advance(time.Millisecond)
	c.awaitAdmitted("b")
	require.Equal(t, []string{"a", "b"}, <-a.asked)

	c.ready("c")
	c.awaitAdmitted("c")
	require.Equal(t, []string{"c", "a", "b"}, <-a.asked, "b will be there, though the list does not say so yet")
}

func TestAFrozenPodHoldsNobodyUp(t *testing.T) {
	c := newCluster(t)
	frozen := c.inRotation("frozen", func(ctx context.Context) { <-ctx.Done() })
	c.pod("b", true)
	c.list.put("b", last, false)
	c.started("b")
	<-frozen.asked
	c.awaitTimer()
	require.Nil(t, c.admitted("b"))
	c.clock.Advance(admission.MaxPreparing)
	c.awaitAdmitted("b")
}

func TestWhereNobodyIsInRotationOneIsAdmittedAtOnce(t *testing.T) {
	c := newCluster(t)
	c.pod("b", true)
	c.pod("c", false)
	c.list.put("b", first, false)
	c.list.put("c", last, false)
	c.started("b")
	c.awaitAdmitted("b")
	require.Equal(t, "nobody was in rotation", c.admitted("b").Message)
	require.Nil(t, c.admitted("c"), "it is not ready")
}

func TestPodsThatNeverComeAreNotWaitedFor(t *testing.T) {
	c := newCluster(t)
	c.inRotation("a", nil)
	c.pod("b", true)
	c.list.put("b", last, false)
	c.pod("leaving", false, func(p *corev1.Pod) {
		p.Finalizers, p.DeletionTimestamp = []string{"kept/for-a-while"}, &metav1.Time{Time: c.clock.Now()}
	})
	c.pod("over", false, func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed })
	c.pod("without-gate", false, func(p *corev1.Pod) { p.Spec.ReadinessGates = nil })
	c.pod("started-anew", false, func(p *corev1.Pod) { p.Status.Conditions = append(p.Status.Conditions, status(condition, true)) })
	c.pod("another-app", false, func(p *corev1.Pod) { p.Labels = nil })
	c.started("a")
	c.awaitAdmitted("b")
	require.Equal(t, []string{"b"}, c.patched())
}

func TestAPodWithoutAnEndpointWaitsForIt(t *testing.T) {
	c := newCluster(t)
	a := c.inRotation("a", nil)
	c.pod("b", true)
	c.pod("c", true)
	c.list.put("b", last, false)
	c.started("a")
	c.awaitTimer()
	require.Empty(t, c.patched())
	c.list.put("c", final, false)
	c.awaitAdmitted("b", "c")
	require.Equal(t, []string{"a", "b", "c"}, <-a.asked)
}

func TestAPodThatVanishedOrWasReplacedIsNotAdmitted(t *testing.T) {
	c := newCluster(t)
	a := c.inRotation("a", func(context.Context) {
		if c.client.Tracker().Delete(podResource, namespace, "b") == nil { // the first time
			c.remove("c")
			c.pod("c", false, func(p *corev1.Pod) { p.UID = types.UID("c-2") })
		}
	})
	c.pod("b", true)
	c.pod("c", true)
	c.pod("d", true)
	c.list.put("b", first, false)
	c.list.put("c", last, false)
	c.list.put("d", final, false)
	c.started("a")
	require.Equal(t, []string{"b", "a", "c", "d"}, <-a.asked)
	c.awaitAdmitted("d")
	require.Nil(t, c.admitted("c"), "a patch for the one before is refused, if it was sent at all")
	c.ready("c")
	c.await("admission of the new c", func() bool {
		c.clock.Advance(time.Second) // over the pause after a refusal
		return c.admitted("c") != nil
	})
}

func TestAFailingCallIsTriedAgain(t *testing.T) {
	c := newCluster(t)
	a := c.inRotation("a", nil)
	c.pod("b", true)
	c.list.put("b", last, false)
	down := 2
	c.client.PrependReactor("get", "services", func(k8stesting.Action) (bool, runtime.Object, error) {
		down--
		return down >= 0, nil, apierrors.NewForbidden(corev1.Resource("services"), "jarvis-service", errors.New("no right yet"))
	})
	refusals := 2
	c.refuse = func(string) error {
		refusals--
		if refusals >= 0 {
			return apierrors.NewInternalError(errors.New("etcd is away"))
		}
		return nil
	}
	c.start("a")
	for range 4 {
		c.awaitPause(c.clock)
		c.clock.Advance(time.Second)
	}
	c.awaitAdmitted("b")
	require.Equal(t, []string{"b", "b", "b"}, c.patched())
	require.Len(t, a.asked, 3, "what was said meanwhile is sent as well")
}

func TestTheLeaseIsHandedOver(t *testing.T) {
	c := newCluster(t)
	holder := func() string {
		lease, err := c.client.CoordinationV1().Leases(namespace).Get(c.ctx, election.Lease, metav1.GetOptions{})
		if err != nil || lease.Spec.HolderIdentity == nil {
			return ""
		}
		return *lease.Spec.HolderIdentity
	}
	frozen := c.inRotation("frozen", func(ctx context.Context) { <-ctx.Done() })
	c.pod("b", true)
	c.list.put("b", last, false)
	stop := c.started("x")
	require.Equal(t, "x", holder())
	lease, err := c.client.CoordinationV1().Leases(namespace).Get(c.ctx, election.Lease, metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, election.Labels, lease.Labels)
	<-frozen.asked
	c.start("y")
	require.Equal(t, "x", holder(), "there is one at a time")
	stop()
	require.Nil(t, c.admitted("b"), "x did not wait for its end")
	c.await("y to take over", func() bool { return holder() == "y" })
	<-frozen.asked
	c.awaitTimer()
	c.clock.Advance(admission.MaxPreparing)
	c.awaitAdmitted("b")
}

// TestAHolderThatIsCutOffStops: another may have the Lease by then.
func TestAHolderThatIsCutOffStops(t *testing.T) {
	c := newCluster(t)
	gone := make(chan struct{})
	frozen := c.inRotation("frozen", func(ctx context.Context) {
		<-ctx.Done()
		close(gone)
	})
	c.pod("b", true)
	c.list.put("b", last, false)
	var cut atomic.Bool
	c.client.PrependReactor("*", "leases", func(k8stesting.Action) (bool, runtime.Object, error) {
		return cut.Load(), nil, apierrors.NewServiceUnavailable("cut off")
	})
	clock := newPauses()
	c.election.Clock = clock
	c.started("x")
	<-frozen.asked
	cut.Store(true)
	c.await("its end", func() bool {
		clock.Advance(time.Second)
		select {
		case <-gone:
			return true
		default:
			return false
		}
	})
	require.Empty(t, c.patched())
}
