package backend

import (
	"context"
	"sync"

	"github.com/smaran-v2/smaran/services/registry"
	"github.com/smaran-v2/smaran/services/session"
)

// Run reads the pods' leases, which also finds out that Redis is back, claims what was placed without it, and sweeps.
func (b *redisLeases) Run(ctx context.Context) {
	var sweeping sync.WaitGroup
	defer sweeping.Wait()
	sweeping.Go(func() { b.sweeper.Run(ctx) })

	ticker := b.clock.NewTicker(refreshTime)
	defer ticker.Stop()
	for {
		pods, _ := b.pods.get() // without pods in rotation there are still those to read
		if pods != nil {
			err := b.throughCircuit(ctx, func(ctx context.Context) error { return b.refresh(ctx, pods) })
			if err == nil && !b.settling() {
				b.reconcile(ctx, pods)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.Chan():
		}
	}
}

func (b *redisLeases) refresh(ctx context.Context, pods *pods) error {
	names := make([]string, len(pods.set.Endpoints))
	for i, e := range pods.set.Endpoints {
		names[i] = e.Pod
	}
	leases, err := b.registry.Pods(ctx, names)
	if err != nil {
		return err
	}
	b.chooser.Update(leases)
	return nil
}

// reconcile claims the sessions that were placed without Redis, each for the pod it is at. One that has a live owner already,
// which this process did not know, goes back there. It stops at the first failure; the next refresh goes on.
func (b *redisLeases) reconcile(ctx context.Context, pods *pods) {
	kept, moved := 0, 0
	for _, id := range b.cache.Keys() {
		known, ok := b.cache.Peek(id)
		if !ok || !known.provisional {
			continue
		}
		owner, err := b.claim(ctx, pods, Request{Session: id}, known)
		if err != nil {
			break
		}
		b.settle(id, known, owner)
		if owner.Pod == known.owner.Pod {
			kept++
			b.metrics.reconciled(reconciledKept)
		} else {
			moved++
			b.metrics.reconciled(reconciledMoved)
		}
	}
	if kept+moved > 0 {
		b.log.InfoContext(ctx, "sessions placed without redis are claimed", "kept", kept, "moved", moved)
	}
}

// settle replaces a provisional placement, unless a request was faster.
func (b *redisLeases) settle(id session.ID, known placement, owner registry.Owner) {
	if now, ok := b.cache.Peek(id); ok && now == known {
		b.cache.Add(id, placement{owner: owner, at: b.clock.Now(), known: max(known.known, owner.Epoch)})
	}
}
