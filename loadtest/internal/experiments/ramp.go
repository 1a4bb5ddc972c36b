package experiments

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/smaran-v2/smaran/loadtest/internal/claims"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
	"github.com/smaran-v2/smaran/services/registry"
	"github.com/smaran-v2/smaran/services/session"
)

const (
	// claimedRate is the rate at which claim 4 says that Redis is the bottleneck, in lookups a second.
	claimedRate = 10_000
	rungTime    = 2 * time.Second
	rampWorkers = 64
	// rampTick is how often the lookups that are due are handed out.
	rampTick = time.Millisecond
	// lateLookup is how long after its time a lookup may begin.
	lateLookup = 20 * time.Millisecond
)

// rampRates are offered one after another, in lookups a second.
var rampRates = [...]int{1_000, 2_500, 5_000, claimedRate, 20_000}

// rung is what one rate came to.
type rung struct {
	offered  int
	achieved float64
	p50, p99 time.Duration // from the intended time
	// redisCores is what Redis' main thread used of one core.
	redisCores float64
	// late is the share of lookups that began more than lateLookup after their time.
	late   float64
	failed int
}

// ramp is claim 4: the story's lookups against one Redis at rising rates, in an open loop.
func ramp(ctx context.Context, env Env) (_ claims.Finding, err error) {
	server, err := startRedis(ctx, env)
	if err != nil {
		return claims.Finding{}, err
	}
	defer func() { err = joined(err, server.close()) }()
	client := redis.NewClient(&redis.Options{Addr: server.address, MaxRetries: -1, PoolSize: rampWorkers})
	defer func() { err = joined(err, client.Close()) }()
	register := registry.NewPlain(client, time.Hour)
	var ids []session.ID
	for _, id := range sessions(env.rand(4), 1000) {
		ids = append(ids, session.ID(id))
		if err := register.Set(ctx, session.ID(id), "jarvis-1"); err != nil {
			return claims.Finding{}, err
		}
	}
	var rungs []rung
	for _, rate := range rampRates {
		r, err := climb(ctx, server, register, ids, rate)
		if err != nil {
			return claims.Finding{}, err
		}
		rungs = append(rungs, r)
	}
	return judgeRamp(rungs), nil
}

// climb offers one rate for rungTime.
func climb(ctx context.Context, server *redisServer, register *registry.Plain, ids []session.ID, rate int) (rung, error) {
	total := int(float64(rate) * rungTime.Seconds())
	due := make(chan int, total) // holds all of them: the plan never waits for the workers
	start := time.Now()
	intended := func(i int) time.Time {
		return start.Add(time.Duration(float64(i) / float64(rate) * float64(time.Second)))
	}
	before, err := server.cpu(ctx)
	if err != nil {
		return rung{}, err
	}
	type outcome struct {
		took         []time.Duration
		late, failed int
	}
	outcomes := make([]outcome, rampWorkers)
	var wg sync.WaitGroup
	for w := range rampWorkers {
		wg.Go(func() {
			o := &outcomes[w]
			for i := range due {
				at := intended(i)
				if time.Since(at) > lateLookup {
					o.late++
				}
				if _, err := register.Get(ctx, ids[i%len(ids)]); err != nil {
					o.failed++
					continue
				}
				o.took = append(o.took, time.Since(at))
			}
		})
	}
	ticker := time.NewTicker(rampTick)
	for next := 0; next < total && ctx.Err() == nil; {
		<-ticker.C
		for next < total && !intended(next).After(time.Now()) {
			due <- next
			next++
		}
	}
	ticker.Stop()
	close(due)
	wg.Wait()
	elapsed := time.Since(start)
	if err := ctx.Err(); err != nil {
		return rung{}, err
	}
	after, err := server.cpu(ctx)
	if err != nil {
		return rung{}, err
	}
	var all []time.Duration
	r := rung{offered: rate, redisCores: (after - before).Seconds() / elapsed.Seconds()}
	late := 0
	for _, o := range outcomes {
		all = append(all, o.took...)
		late += o.late
		r.failed += o.failed
	}
	r.achieved = float64(len(all)) / elapsed.Seconds()
	r.late = float64(late) / float64(total)
	r.p50, r.p99 = percentileOf(all, 0.50), percentileOf(all, 0.99)
	return r, nil
}

const (
	// fullCore is the use of its one core from which Redis is the bottleneck.
	fullCore = 0.90
	// halfCore is the use below which it is certainly not, so that what is slow then is this machine or this program.
	halfCore = 0.50
	// keptUp is the share of the offered rate that must be reached, and promptly how fast.
	keptUp   = 0.97
	promptly = 10 * time.Millisecond
)

func judgeRamp(rungs []rung) claims.Finding {
	f := claims.Finding{Figures: map[string]float64{}}
	var at rung
	for i, r := range rungs {
		if i > 0 {
			f.Measured += "; "
		}
		f.Measured += fmt.Sprintf("%d/s: %.0f/s done, p99 %.1f ms, Redis %.0f%% of a core", r.offered, r.achieved, inMillis(r.p99), 100*r.redisCores)
		f.Figures[fmt.Sprintf("achieved_%d", r.offered)] = r.achieved
		f.Figures[fmt.Sprintf("p99_ms_%d", r.offered)] = inMillis(r.p99)
		f.Figures[fmt.Sprintf("redis_cores_%d", r.offered)] = r.redisCores
		f.Figures[fmt.Sprintf("late_share_%d", r.offered)] = r.late
		if r.offered == claimedRate {
			at = r
		}
	}
	full := at.achieved / max(at.redisCores, 0.001)
	f.Figures["lookups_per_redis_core"] = full
	extrapolated := fmt.Sprintf("by its processor time one Redis would be full at about %.0f lookups/s (extrapolated)", full)
	switch {
	case at.redisCores >= fullCore:
		f.Verdict = reportv1.Verdict_VERDICT_REPRODUCED
	case at.achieved >= keptUp*claimedRate && at.p99 <= promptly && at.failed == 0:
		f.Verdict, f.Note = reportv1.Verdict_VERDICT_NOT_REPRODUCED, extrapolated
	case at.redisCores < halfCore:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_MEASURABLE_HERE
		f.Note = fmt.Sprintf("this machine did not keep up with %d/s (%s late) while Redis used %.0f%% of a core; %s",
			claimedRate, share(at.late), 100*at.redisCores, extrapolated)
	default:
		f.Verdict, f.Note = reportv1.Verdict_VERDICT_DEPENDS, "on the machine: "+extrapolated
	}
	return f
}
