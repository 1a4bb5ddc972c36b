package gate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/jonboulle/clockwork"
	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/smaran-v2/smaran/services/admission"
)

// ErrElection is an Election that makes no sense.
var ErrElection = errors.New("bad election")

// Election is the Lease that the one who admits holds. Duration is how long the others wait for one that went without a word, Renewal how
// long a holder that can't renew it goes on, Retry the pause between two tries of either.
type Election struct {
	Lease                    string
	Duration, Renewal, Retry time.Duration
	// Labels of the Lease. They may be nil.
	Labels map[string]string
	Clock  clockwork.Clock
}

// DefaultElection is short: while nobody holds the Lease nobody is let in. No manifest has the Lease, so it is labelled here like what does.
func DefaultElection(clock clockwork.Clock) Election {
	return Election{Lease: "jarvis-admission", Duration: 5 * time.Second, Renewal: 3 * time.Second, Retry: time.Second,
		Labels: map[string]string{"app.kubernetes.io/part-of": "smaran"}, Clock: clock}
}

// jitter is the most by which a pause between two tries is longer than Retry, as a factor.
const jitter = 1.2

func (e Election) validate() error {
	if e.Retry <= 0 || time.Duration(float64(e.Retry)*jitter) >= e.Renewal || e.Renewal >= e.Duration || e.Duration < time.Second {
		return fmt.Errorf("%w: lease %s for %v, renewed within %v, tried each %v: expected each to be well below the one before, from 1 s",
			ErrElection, e.Lease, e.Duration, e.Renewal, e.Retry)
	}
	return nil
}

// elector stands for a Lease, by the rules of k8s.io/client-go/tools/leaderelection: the API server refuses an update of what has changed
// since it was read; another's Lease may be taken once it has not changed for its duration, by this process' clock alone; and a holder that
// can't renew it stops before that. client-go's own links every type of the API into the program.
type elector struct {
	Election
	self   string
	leases Leases
	log    *slog.Logger

	// lease is as it was last seen, at the time seen.
	lease *coordinationv1.Lease
	seen  time.Time
	// renewed is from when the Lease is counted: before the request was sent that got it.
	renewed time.Time
}

// acquire returns once the Lease is had, or false when ctx ends.
func (e *elector) acquire(ctx context.Context) bool {
	for {
		calling, cancel := admission.Within(ctx, e.Clock, e.Renewal)
		had := e.try(calling)
		cancel()
		if had {
			return true
		}
		if !e.pause(ctx, e.Renewal) {
			return false
		}
	}
}

// hold renews the Lease, and returns when it is lost, or about to be, or when ctx ends.
func (e *elector) hold(ctx context.Context) {
	for e.pause(ctx, e.left()) {
		left := e.left()
		if left <= 0 {
			e.log.WarnContext(ctx, "the lease was not renewed in time", "lease", e.Lease)
			return
		}
		calling, cancel := admission.Within(ctx, e.Clock, left)
		renewed := e.try(calling)
		cancel()
		if !renewed && e.holder() != e.self {
			e.log.WarnContext(ctx, "another pod has the lease", "lease", e.Lease, "holder", e.holder())
			return
		}
	}
}

// left is how long the holder may go on without renewing.
func (e *elector) left() time.Duration { return e.Renewal - e.Clock.Since(e.renewed) }

// pause waits as long as tries are apart, but not longer than most, and says false when ctx ends first.
func (e *elector) pause(ctx context.Context, most time.Duration) bool {
	apart := e.Retry + time.Duration(rand.Float64()*(jitter-1)*float64(e.Retry))
	timer := e.Clock.NewTimer(min(apart, most))
	defer timer.Stop()
	select {
	case <-timer.Chan():
		return true
	case <-ctx.Done():
		return false
	}
}

// holder is who has the Lease, as far as is known.
func (e *elector) holder() string {
	if e.lease == nil {
		return ""
	}
	return ptr.Deref(e.lease.Spec.HolderIdentity, "")
}

// try gets or renews the Lease, and reports whether it is had.
func (e *elector) try(ctx context.Context) bool {
	now := e.Clock.Now()
	found, err := e.leases.Lease(ctx, e.Election.Lease)
	switch {
	case apierrors.IsNotFound(err):
		return e.took(ctx, now)(e.leases.CreateLease(ctx, &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Name: e.Election.Lease, Labels: e.Labels}, Spec: e.spec(now, now, 0)}))
	case err != nil:
		e.log.ErrorContext(ctx, "the lease cannot be read", "lease", e.Election.Lease, "error", err)
		return false
	}
	if e.lease == nil || !equality.Semantic.DeepEqual(found.Spec, e.lease.Spec) {
		e.seen = e.Clock.Now()
	}
	e.lease = found
	holder := e.holder()
	if holder != "" && holder != e.self && e.Clock.Since(e.seen) < e.duration() {
		return false
	}
	acquired, transitions := now, ptr.Deref(found.Spec.LeaseTransitions, 0)+1
	if holder == e.self {
		transitions--
		if found.Spec.AcquireTime != nil {
			acquired = found.Spec.AcquireTime.Time
		}
	}
	next := found.DeepCopy()
	next.Spec = e.spec(now, acquired, transitions)
	return e.took(ctx, now)(e.leases.UpdateLease(ctx, next))
}

// duration is how long the Lease of another lasts: as that one says, which may be of another version.
func (e *elector) duration() time.Duration {
	if seconds := ptr.Deref(e.lease.Spec.LeaseDurationSeconds, 0); seconds > 0 {
		return time.Duration(seconds) * time.Second
	}
	return e.Duration
}

// took keeps what the API server answered to a request that was sent at now.
func (e *elector) took(ctx context.Context, now time.Time) func(*coordinationv1.Lease, error) bool {
	return func(lease *coordinationv1.Lease, err error) bool {
		switch {
		case err == nil:
			e.lease, e.seen, e.renewed = lease, e.Clock.Now(), now
		case !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err): // another was first: the next try reads what it wrote
			e.log.ErrorContext(ctx, "the lease cannot be written", "lease", e.Election.Lease, "error", err)
		}
		return err == nil
	}
}

func (e *elector) spec(renewed, acquired time.Time, transitions int32) coordinationv1.LeaseSpec {
	return coordinationv1.LeaseSpec{
		HolderIdentity: &e.self, LeaseDurationSeconds: ptr.To(int32((e.Duration + time.Second - 1) / time.Second)),
		AcquireTime: &metav1.MicroTime{Time: acquired}, RenewTime: &metav1.MicroTime{Time: renewed}, LeaseTransitions: &transitions,
	}
}

// release lets another have the Lease at once, if it is still this one's.
func (e *elector) release(ctx context.Context) {
	if e.holder() != e.self || e.Clock.Since(e.renewed) >= e.Duration {
		return
	}
	ctx, cancel := admission.Within(context.WithoutCancel(ctx), e.Clock, e.Renewal)
	defer cancel()
	free := e.lease.DeepCopy()
	now := e.Clock.Now()
	free.Spec = e.spec(now, now, ptr.Deref(e.lease.Spec.LeaseTransitions, 0))
	free.Spec.HolderIdentity, free.Spec.LeaseDurationSeconds = ptr.To(""), ptr.To(int32(1))
	if _, err := e.leases.UpdateLease(ctx, free); err != nil && !apierrors.IsConflict(err) {
		e.log.WarnContext(ctx, "the lease was not released", "lease", e.Election.Lease, "error", err)
	}
}
