package registry

import (
	"context"
	"log/slog"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/redis/go-redis/v9"
)

// SweepTime is how often a Sweeper looks through the register.
const SweepTime = 10 * time.Second

// sweepBatch is how many keys one SCAN looks at.
const sweepBatch = 200

// Sweeper takes owners that are gone out of sessions nobody asks for; a claim does the same for the others. Several
// may run against one Redis.
type Sweeper struct {
	registry *Registry
	clock    clockwork.Clock
	log      *slog.Logger
}

// NewSweeper returns a sweeper of r. A nil clock means the real one.
func NewSweeper(r *Registry, clock clockwork.Clock, log *slog.Logger) *Sweeper {
	if clock == nil {
		clock = clockwork.NewRealClock()
	}
	return &Sweeper{registry: r, clock: clock, log: log}
}

// Run sweeps every SweepTime until ctx ends. A sweep that fails is logged, and the next one tries again.
func (s *Sweeper) Run(ctx context.Context) {
	ticker := s.clock.NewTicker(SweepTime)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.Chan():
		}
		reclaimed, err := s.Sweep(ctx)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			s.log.WarnContext(ctx, "sweep ended early", "reclaimed", reclaimed, "error", err)
		case reclaimed > 0:
			s.log.InfoContext(ctx, "sweep reclaimed sessions of lost pods", "sessions", reclaimed)
		}
	}
}

// Sweep looks once through all sessions, a batch at a time, and returns how many lost their owner. It fails with
// ErrUnavailable, or as ctx does.
func (s *Sweeper) Sweep(ctx context.Context) (reclaimed int, err error) {
	r := s.registry
	var cursor uint64
	for {
		var keys []string
		keys, cursor, err = r.client.Scan(ctx, cursor, sessionPrefix+"*", sweepBatch).Result()
		if err != nil {
			return reclaimed, unavailable(ctx, "scan sessions", err)
		}
		n, err := s.reclaim(ctx, keys)
		reclaimed += n
		if err != nil {
			return reclaimed, unavailable(ctx, "reclaim sessions", err)
		}
		if cursor == 0 {
			return reclaimed, nil
		}
	}
}

// reclaim hands every session that has an owner to reclaim.lua, which looks at the lease and the record in one step.
func (s *Sweeper) reclaim(ctx context.Context, keys []string) (int, error) {
	if len(keys) == 0 {
		return 0, nil
	}
	r := s.registry
	owners := make([]*redis.SliceCmd, len(keys))
	_, err := r.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, key := range keys {
			owners[i] = p.HMGet(ctx, key, "pod", fieldIncarnation)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	done, err := r.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, key := range keys {
			pod, _ := owners[i].Val()[0].(string)
			incarnation, _ := owners[i].Val()[1].(string)
			if pod != "" {
				r.scripts.reclaim.Eval(ctx, p, []string{key, podKey(pod)}, pod, incarnation)
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	reclaimed := 0
	for _, cmd := range done {
		n, err := cmd.(*redis.Cmd).Int()
		if err != nil {
			return reclaimed, err
		}
		reclaimed += n
	}
	return reclaimed, nil
}
