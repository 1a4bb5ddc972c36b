package jarvis_test

import (
	"context"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/redis/go-redis/v9"

	"github.com/smaran-v2/smaran/services/jarvis/archive"
	"github.com/smaran-v2/smaran/services/registry"
)

// store is a pod's archive, from which it can be cut off.
type store struct {
	archive *archive.Archive
	client  *redis.Client
	away    atomic.Bool
	close   func()
}

func newStore(addr string) *store {
	s := &store{client: registry.NewClient(addr, time.Second)}
	s.client.AddHook(cutHook{&s.away})
	s.archive = archive.New(archive.Config{Client: s.client, TTL: time.Hour, Clock: clockwork.NewRealClock(), Log: slog.New(slog.DiscardHandler)})
	return s
}

// keep has the pod's answers written until close.
func (s *store) keep(m *mate) {
	s.archive.Snapshot = m.Snapshot
	m.OnAnswer(s.archive.Touch)
	ctx, stop := context.WithCancel(context.Background())
	var writing sync.WaitGroup
	writing.Go(func() { s.archive.Run(ctx) })
	s.close = sync.OnceFunc(func() {
		stop()
		writing.Wait()
		_ = s.client.Close() // only fails when it was closed before
	})
}

// cutHook fails all that is asked of Redis while it is away.
type cutHook struct{ away *atomic.Bool }

func (h cutHook) err(op string) error {
	if h.away.Load() {
		return &net.OpError{Op: op, Net: "tcp", Err: os.ErrDeadlineExceeded}
	}
	return nil
}

func (h cutHook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h cutHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if err := h.err("write"); err != nil {
			cmd.SetErr(err)
			return err
		}
		return next(ctx, cmd)
	}
}

func (h cutHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if err := h.err("write"); err != nil {
			return err
		}
		return next(ctx, cmds)
	}
}
