package registry

import "context"

// The steps that Run takes, one at a time.

// Renew takes the lease, or renews it.
func (l *Lease) Renew(ctx context.Context) error {
	if err := l.tryRenew(ctx); err != nil {
		return err
	}
	l.asserted = l.dials.Load()
	return nil
}

// Assert writes down what the pod owns.
func (l *Lease) Assert(ctx context.Context) error { return l.assert(ctx) }

// ReleaseNow gives the lease up.
func (l *Lease) ReleaseNow(ctx context.Context) error {
	return l.scripts.release.Run(ctx, l.config.Client, []string{podKey(l.config.Pod)}, l.config.Incarnation).Err()
}
