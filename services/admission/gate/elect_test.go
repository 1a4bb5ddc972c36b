package gate_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/smaran-v2/smaran/services/admission/gate"
)

// ghost holds the Lease and says nothing. Its clock is a day behind.
func (c *cluster) ghost(clock clockwork.Clock) *coordinationv1.Lease {
	c.t.Helper()
	yesterday := metav1.NewMicroTime(clock.Now().Add(-24 * time.Hour))
	lease, err := c.client.CoordinationV1().Leases(namespace).Create(c.ctx, &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: election.Lease},
		Spec: coordinationv1.LeaseSpec{HolderIdentity: ptr.To("ghost"), LeaseDurationSeconds: ptr.To(int32(5)),
			AcquireTime: &yesterday, RenewTime: &yesterday, LeaseTransitions: ptr.To(int32(7))},
	}, metav1.CreateOptions{})
	require.NoError(c.t, err)
	return lease
}

func (c *cluster) lease() coordinationv1.LeaseSpec {
	c.t.Helper()
	lease, err := c.client.CoordinationV1().Leases(namespace).Get(c.ctx, election.Lease, metav1.GetOptions{})
	require.NoError(c.t, err)
	return lease.Spec
}

// elect has the pod self stand for the Lease, by a clock of its own, and returns after its first try.
func (c *cluster) elect(self string, clock pauses) (stop func()) {
	c.t.Helper()
	ctx, cancel := context.WithCancel(c.ctx)
	over := make(chan error, 1)
	e := election
	e.Retry, e.Renewal, e.Duration, e.Clock = time.Second, 3*time.Second, 5*time.Second, clock
	go func() {
		over <- gate.Run(ctx, gate.Options{Gate: condition, Self: self, Election: e, Endpoints: c.list, API: api{c.client},
			Clock: c.clock, Log: slog.New(slog.DiscardHandler)})
	}()
	c.awaitPause(clock)
	return func() {
		cancel()
		require.NoError(c.t, <-over)
	}
}

// tries is one after another, until so much time has gone by.
func (c *cluster) tries(clock pauses, d time.Duration) {
	c.t.Helper()
	const apart = 1500 * time.Millisecond // more than a pause takes
	for range d / apart {
		clock.Advance(apart)
		c.awaitPause(clock)
	}
}

func TestALeaseIsTakenOnceItHasNotChangedForItsDuration(t *testing.T) {
	c := newCluster(t)
	clock := newPauses()
	lease := c.ghost(clock)
	stop := c.elect("y", clock)
	defer stop()
	c.tries(clock, 3*time.Second)
	require.Equal(t, "ghost", *c.lease().HolderIdentity, "however long ago it says that it was renewed")

	lease.Spec.RenewTime = ptr.To(metav1.NewMicroTime(lease.Spec.RenewTime.Add(time.Second)))
	_, err := c.client.CoordinationV1().Leases(namespace).Update(c.ctx, lease, metav1.UpdateOptions{})
	require.NoError(t, err)
	c.tries(clock, 6*time.Second) // one sees the change, and three come within the duration
	require.Equal(t, "ghost", *c.lease().HolderIdentity, "it was renewed")

	c.tries(clock, 1500*time.Millisecond)
	got := c.lease()
	require.Equal(t, "y", *got.HolderIdentity)
	require.EqualValues(t, 8, *got.LeaseTransitions)
	require.EqualValues(t, 5, *got.LeaseDurationSeconds)
}

func TestALeaseThatIsGivenBackIsFreeAtOnce(t *testing.T) {
	c := newCluster(t)
	x, y := newPauses(), newPauses()
	stop := c.elect("x", x)
	acquired := c.lease()
	require.Equal(t, "x", *acquired.HolderIdentity)
	c.tries(x, 1500*time.Millisecond)
	renewed := c.lease()
	require.True(t, renewed.RenewTime.After(acquired.RenewTime.Time))
	require.Equal(t, acquired.AcquireTime, renewed.AcquireTime)
	require.EqualValues(t, 0, *renewed.LeaseTransitions)
	stop()
	require.Empty(t, *c.lease().HolderIdentity)

	stop = c.elect("y", y)
	defer stop()
	require.Equal(t, "y", *c.lease().HolderIdentity, "without a wait")
}

func TestAnElectionThatMakesNoSenseIsRefused(t *testing.T) {
	for name, change := range map[string]func(*gate.Election){
		"no pause":                       func(e *gate.Election) { e.Retry = 0 },
		"a renewal too short for a try":  func(e *gate.Election) { e.Renewal = e.Retry },
		"a holder that goes on too long": func(e *gate.Election) { e.Renewal = e.Duration },
		"a lease below a second":         func(e *gate.Election) { e.Duration = 900 * time.Millisecond },
	} {
		t.Run(name, func(t *testing.T) {
			o := gate.Options{Election: gate.DefaultElection(clockwork.NewFakeClock())}
			change(&o.Election)
			require.ErrorIs(t, gate.Run(t.Context(), o), gate.ErrElection)
		})
	}
}
