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

// elect has the pod self stand for the Lease, by a clock of its own.
func (c *cluster) elect(self string, clock clockwork.Clock) (stop func()) {
	c.t.Helper()
	ctx, cancel := context.WithCancel(c.ctx)
	over := make(chan error, 1)
	e := election
	e.Retry, e.Renewal, e.Duration, e.Clock = time.Second, 3*time.Second, 5*time.Second, clock
	go func() {
		over <- gate.Run(ctx, gate.Options{Gate: condition, Self: self, Election: e, Endpoints: c.list, API: api{c.client},
			Clock: c.clock, Log: slog.New(slog.DiscardHandler)})
	}()
	return func() {
		cancel()
		require.NoError(c.t, <-over)
	}
}

func TestALeaseIsTakenOnceItHasNotChangedForItsDuration(t *testing.T) {
	c := newCluster(t)
	clock := clockwork.NewFakeClock()
	lease := c.ghost(clock)
	stop := c.elect("y", clock)
	defer stop()
	// tries is one after another, until so much time has gone by.
	tries := func(d time.Duration) {
		for range d / (1500 * time.Millisecond) {
			require.NoError(t, clock.BlockUntilContext(c.ctx, 1))
			clock.Advance(1500 * time.Millisecond)
		}
		require.NoError(t, clock.BlockUntilContext(c.ctx, 1))
	}
	tries(3 * time.Second)
	require.Equal(t, "ghost", *c.lease().HolderIdentity, "however long ago it says that it was renewed")

	lease.Spec.RenewTime = ptr.To(metav1.NewMicroTime(lease.Spec.RenewTime.Add(time.Second)))
	_, err := c.client.CoordinationV1().Leases(namespace).Update(c.ctx, lease, metav1.UpdateOptions{})
	require.NoError(t, err)
	tries(4500 * time.Millisecond) // one try sees the change, and two come within the duration
	require.Equal(t, "ghost", *c.lease().HolderIdentity, "it was renewed")

	c.await("y to take it", func() bool {
		clock.Advance(500 * time.Millisecond)
		return *c.lease().HolderIdentity == "y"
	})
	got := c.lease()
	require.EqualValues(t, 8, *got.LeaseTransitions)
	require.EqualValues(t, 5, *got.LeaseDurationSeconds)
}

func TestALeaseThatIsGivenBackIsFreeAtOnce(t *testing.T) {
	c := newCluster(t)
	x, y := clockwork.NewFakeClock(), clockwork.NewFakeClock()
	stop := c.elect("x", x)
	holds := func(who string) func() bool {
		return func() bool {
			lease, err := c.client.CoordinationV1().Leases(namespace).Get(c.ctx, election.Lease, metav1.GetOptions{})
			return err == nil && *lease.Spec.HolderIdentity == who
		}
	}
	c.await("x to have it", holds("x"))
	acquired := c.lease()
	c.await("a renewal", func() bool {
		x.Advance(500 * time.Millisecond)
		return c.lease().RenewTime.After(acquired.RenewTime.Time)
	})
	require.Equal(t, acquired.AcquireTime, c.lease().AcquireTime)
	require.EqualValues(t, 0, *c.lease().LeaseTransitions)
	stop()
	require.Empty(t, *c.lease().HolderIdentity)

	stop = c.elect("y", y)
	defer stop()
	c.await("y to have it, without a wait", holds("y"))
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
