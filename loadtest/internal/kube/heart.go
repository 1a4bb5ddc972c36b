package kube

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/smaran-v2/smaran/loadtest/internal/kube/overlay"
)

// heart says that this program lives, and finds out where the namespace is not its own any more.
type heart struct {
	end    context.CancelFunc
	ending atomic.Bool
	done   sync.WaitGroup

	// lost is closed after why is set.
	lost chan struct{}
	why  error
}

// beat begins; stop ends it.
func beat(ctx context.Context, n overlay.Namespace, f overlay.Found, log *slog.Logger) *heart {
	ctx, end := context.WithCancel(context.WithoutCancel(ctx))
	h := &heart{end: end, lost: make(chan struct{})}
	h.done.Go(func() {
		ticker := n.Clock.NewTicker(overlay.BeatEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.Chan():
			}
			switch err := n.Beat(ctx, f); {
			case err == nil || ctx.Err() != nil:
			case !errors.Is(err, overlay.ErrLost):
				log.Warn("heartbeat failed", "error", err)
			case !h.ending.Load():
				h.why = err
				close(h.lost)
				return
			}
		}
	})
	return h
}

// expectEnd is for who gives the namespace up: it goes on being this program's until that is done, but then it is lost by intent.
func (h *heart) expectEnd() { h.ending.Store(true) }

// Err is why the namespace was lost, nil where it was not.
func (h *heart) Err() error {
	select {
	case <-h.lost:
		return h.why
	default:
		return nil
	}
}

func (h *heart) stop() {
	h.end()
	h.done.Wait()
}
