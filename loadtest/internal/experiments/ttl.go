package experiments

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/smaran-v2/smaran/loadtest/internal/claims"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/smaran/backend"
)

// The sweep plays a session's life in three seconds instead of, say, ninety minutes: what counts is the TTL by the
// session's length. SETEX counts in whole seconds.
const (
	lifeTime     = 3 * time.Second
	afterLife    = 1500 * time.Millisecond
	busyEvery    = 100 * time.Millisecond
	idleFor      = 2500 * time.Millisecond
	sweptPerKind = 40
)

var sweptTTLs = [...]time.Duration{time.Second, 2 * time.Second, 5 * time.Second, time.Minute}

// swept is what one TTL came to.
type swept struct {
	ttl time.Duration
	// busyMoved and idleMoved are the shares of sessions in use that came to another pod, though no pod came or went.
	busyMoved, idleMoved float64
	// stale is the share of sessions whose mapping was still there half a life after their end.
	stale float64
}

// ttlSweep is claim 6: redis-plain with several TTLs, over sessions that ask all the time and sessions that pause.
func ttlSweep(ctx context.Context, env Env) (_ claims.Finding, err error) {
	server, err := startRedis(ctx, env)
	if err != nil {
		return claims.Finding{}, err
	}
	defer func() { err = joined(err, server.close()) }()
	found := make([]swept, len(sweptTTLs))
	errs := make([]error, len(sweptTTLs))
	var wg sync.WaitGroup
	for i, ttl := range sweptTTLs {
		wg.Go(func() { found[i], errs[i] = sweep(ctx, env, server.address, i, ttl) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return claims.Finding{}, err
	}
	return judgeTTL(found), nil
}

// sweep lives through one TTL, in a database of its own.
func sweep(ctx context.Context, env Env, address string, database int, ttl time.Duration) (_ swept, err error) {
	client := redis.NewClient(&redis.Options{Addr: address, DB: database, MaxRetries: -1})
	defer func() { err = joined(err, client.Close()) }()
	b, err := backend.New(backend.RedisPlain, backend.Deps{
		Endpoints: fixed{threePods()}, Metrics: backend.NewMetrics(prometheus.NewRegistry()), Log: slog.New(slog.DiscardHandler),
		Clock: clockwork.NewRealClock(), Seed: env.Seed, Redis: client, RedisTTL: ttl, RedisTimeout: lookupTimeout,
	})
	if err != nil {
		return swept{}, err
	}
	ids := sessions(env.rand(6), 2*sweptPerKind)
	busy, idle := newLives(ids[:sweptPerKind]), newLives(ids[sweptPerKind:])
	ticker := time.NewTicker(busyEvery)
	defer ticker.Stop()
	start := time.Now()
	if err := idle.ask(ctx, b); err != nil {
		return swept{}, err
	}
	asked := false
	for time.Since(start) < lifeTime {
		if err := busy.ask(ctx, b); err != nil {
			return swept{}, err
		}
		if !asked && time.Since(start) >= idleFor {
			asked = true
			if err := idle.ask(ctx, b); err != nil {
				return swept{}, err
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return swept{}, ctx.Err()
		}
	}
	select {
	case <-time.After(afterLife):
	case <-ctx.Done():
		return swept{}, ctx.Err()
	}
	left, err := client.DBSize(ctx).Result()
	if err != nil {
		return swept{}, fmt.Errorf("count the mappings that are left: %w", err)
	}
	return swept{ttl: ttl, busyMoved: busy.moved(), idleMoved: idle.moved(), stale: float64(left) / float64(len(ids))}, nil
}

// lives are sessions and the pods that they were sent to.
type lives struct {
	ids  []string
	pods map[string]map[string]bool
}

func newLives(ids []string) *lives {
	l := &lives{ids: ids, pods: map[string]map[string]bool{}}
	for _, id := range ids {
		l.pods[id] = map[string]bool{}
	}
	return l
}

// ask routes one request of each.
func (l *lives) ask(ctx context.Context, b backend.Backend) error {
	for _, id := range l.ids {
		target, err := b.Route(ctx, backend.Request{Session: session.ID(id)})
		if err != nil {
			return fmt.Errorf("look up a session in Redis: %w", err)
		}
		if target.Degraded {
			return errDegraded
		}
		l.pods[id][target.Pod] = true
	}
	return nil
}

// moved is the share of sessions that were sent to more than one pod.
func (l *lives) moved() float64 {
	n := 0
	for _, pods := range l.pods {
		if len(pods) > 1 {
			n++
		}
	}
	return float64(n) / float64(len(l.ids))
}

// Shares that count as some and as most, in judging the sweep: a new draw among three pods finds the same one for a third.
const (
	someSessions = 0.10
	mostSessions = 0.90
)

// judgeTTL takes the TTLs in rising order, the first of them shorter than a session and the last longer.
func judgeTTL(found []swept) claims.Finding {
	f := claims.Finding{
		Figures: map[string]float64{},
		Note:    "in the story SETEX sets the TTL once and using a session does not prolong it, so even busy ones expire; scaled: a session lasts 3 s here",
	}
	for i, s := range found {
		if i > 0 {
			f.Measured += "; "
		}
		of := float64(s.ttl) / float64(lifeTime)
		f.Measured += fmt.Sprintf("TTL %.2g × the session: %s of busy and %s of idle sessions moved in use, %s of mappings stale half a session after the end",
			of, share(s.busyMoved), share(s.idleMoved), share(s.stale))
		f.Figures[fmt.Sprintf("busy_moved_ttl_%.0fs", s.ttl.Seconds())] = s.busyMoved
		f.Figures[fmt.Sprintf("idle_moved_ttl_%.0fs", s.ttl.Seconds())] = s.idleMoved
		f.Figures[fmt.Sprintf("stale_ttl_%.0fs", s.ttl.Seconds())] = s.stale
	}
	shortest, longest := found[0], found[len(found)-1]
	expires := shortest.busyMoved >= someSessions || shortest.idleMoved >= someSessions
	keeps := longest.busyMoved == 0 && longest.idleMoved == 0
	stale := longest.stale >= mostSessions && shortest.stale < mostSessions
	switch {
	case expires && keeps && stale:
		f.Verdict = reportv1.Verdict_VERDICT_REPRODUCED
	case expires || stale:
		f.Verdict = reportv1.Verdict_VERDICT_DEPENDS
	default:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_REPRODUCED
	}
	return f
}
