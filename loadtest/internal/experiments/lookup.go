package experiments

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/jonboulle/clockwork"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/smaran-v2/smaran/loadtest/internal/claims"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/registry"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/smaran/backend"
)

const (
	lookups        = 500
	lookupSessions = 50
	// lookupTimeout is far above what is measured, so that no lookup falls back.
	lookupTimeout = 2 * time.Second
)

// lookupDelays are added to what Redis answers.
var lookupDelays = [...]time.Duration{0, time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond}

// lookup is what deciding where a request goes took.
type lookup struct {
	name     string
	delay    time.Duration
	p50, p99 time.Duration
}

// lookupTime is claim 3: what redis-plain waits for on each request, on the same host and with network delay in between, and what
// redis waits for, which remembers owners for a while.
func lookupTime(ctx context.Context, env Env) (_ claims.Finding, err error) {
	server, err := startRedis(ctx, env)
	if err != nil {
		return claims.Finding{}, err
	}
	defer func() { err = joined(err, server.close()) }()
	var found []lookup
	for _, delay := range lookupDelays {
		l, err := lookupBehind(ctx, env, server.address, delay)
		if err != nil {
			return claims.Finding{}, err
		}
		found = append(found, l)
	}
	cached, err := cachedLookup(ctx, env, server.address)
	if err != nil {
		return claims.Finding{}, err
	}
	return judgeLookup(found, cached), nil
}

// lookupBehind measures redis-plain through a proxy that delays Redis' answers.
func lookupBehind(ctx context.Context, env Env, redisAddress string, delay time.Duration) (_ lookup, err error) {
	address := redisAddress
	if delay > 0 {
		proxy, err := delayed(redisAddress, delay)
		if err != nil {
			return lookup{}, err
		}
		defer proxy.Stop()
		address = proxy.Listen
	}
	b, closing, err := redisBackend(env, backend.RedisPlain, address, 0)
	if err != nil {
		return lookup{}, err
	}
	defer func() { err = joined(err, closing()) }()
	return timed(ctx, env, b, lookup{name: string(backend.RedisPlain), delay: delay})
}

// cachedLookup measures redis, whose pods need leases to be chosen.
func cachedLookup(ctx context.Context, env Env, address string) (_ lookup, err error) {
	client := registry.NewClient(address, lookupTimeout)
	defer func() { err = joined(err, client.Close()) }()
	leasing, stop := context.WithCancel(ctx)
	ended := make(chan error, len(threePods().Endpoints))
	started := 0
	defer func() {
		stop()
		for range started {
			<-ended // why a lease that was told to end did so is of no interest
		}
	}()
	for _, e := range threePods().Endpoints {
		lease, err := registry.NewLease(registry.LeaseConfig{
			Client: client, Pod: e.Pod, Address: e.Address, Incarnation: "claim",
			Status: func() registry.Status { return registry.Status{State: registry.StateReady} },
			Clock:  clockwork.NewRealClock(), Log: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			return lookup{}, err
		}
		started++
		go func() { ended <- lease.Run(leasing) }()
	}
	b, closing, err := redisBackend(env, backend.Redis, address, time.Minute)
	if err != nil {
		return lookup{}, err
	}
	defer func() { err = joined(err, closing()) }()
	if err := awaitLeases(ctx, registry.New(client, 0)); err != nil {
		return lookup{}, err
	}
	return timed(ctx, env, b, lookup{name: string(backend.Redis)})
}

// awaitLeases returns once all three pods are in the register.
func awaitLeases(ctx context.Context, register *registry.Registry) error {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	var names []string
	for _, e := range threePods().Endpoints {
		names = append(names, e.Pod)
	}
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for {
		live, err := register.Pods(ctx, names)
		if err != nil {
			return fmt.Errorf("wait for the pods' leases: %w", err)
		}
		if len(live) == len(names) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the pods' leases: %w", ctx.Err())
		case <-poll.C:
		}
	}
}

// threePods are endpoints that nobody connects to.
func threePods() endpoints.Set {
	var set endpoints.Set
	for i := range 3 {
		set.Endpoints = append(set.Endpoints, endpoints.Endpoint{
			Pod: fmt.Sprintf("jarvis-%d", i+1), Address: fmt.Sprintf("10.0.0.%d:8080", i+1), Health: endpoints.Healthy,
		})
	}
	return set
}

// redisBackend makes a backend of smaran over three pods.
func redisBackend(env Env, name backend.Name, address string, cache time.Duration) (backend.Backend, func() error, error) {
	client := registry.NewClient(address, lookupTimeout)
	b, err := backend.New(name, backend.Deps{
		Endpoints: fixed{threePods()}, Metrics: backend.NewMetrics(prometheus.NewRegistry()), Log: slog.New(slog.DiscardHandler),
		Clock: clockwork.NewRealClock(), Seed: env.Seed, Redis: client, RedisTTL: time.Hour, RedisTimeout: lookupTimeout, RedisCache: cache,
	})
	if err != nil {
		return nil, nil, errors.Join(err, client.Close())
	}
	return b, client.Close, nil
}

// errDegraded is returned where a lookup did not reach Redis.
var errDegraded = errors.New("a lookup fell back on another way than Redis")

// timed routes sessions that are known, one request after another.
func timed(ctx context.Context, env Env, b backend.Backend, l lookup) (lookup, error) {
	ids := sessions(env.rand(3), lookupSessions)
	var times []time.Duration
	for i := range lookupSessions + lookups {
		start := time.Now()
		target, err := b.Route(ctx, backend.Request{Session: session.ID(ids[i%lookupSessions])})
		took := time.Since(start)
		if err != nil {
			return lookup{}, fmt.Errorf("look up a session in Redis: %w", err)
		}
		if target.Degraded {
			return lookup{}, errDegraded
		}
		if i >= lookupSessions { // the first of each session assigns it
			times = append(times, took)
		}
	}
	l.p50, l.p99 = percentileOf(times, 0.50), percentileOf(times, 0.99)
	return l, nil
}

// delayed starts a proxy in front of Redis that holds each of its answers back.
func delayed(upstream string, delay time.Duration) (*toxiproxy.Proxy, error) {
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	proxy := toxiproxy.NewProxy(server, "redis", "127.0.0.1:0", upstream)
	if err := proxy.Start(); err != nil {
		return nil, fmt.Errorf("start a proxy in front of Redis: %w", err)
	}
	toxic := fmt.Sprintf(`{"name":"delay","type":"latency","stream":"downstream","attributes":{"latency":%d}}`, delay.Milliseconds())
	if _, err := proxy.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
		proxy.Stop()
		return nil, fmt.Errorf("delay Redis' answers: %w", err)
	}
	return proxy, nil
}

// What claim 3 says a lookup adds.
const (
	claimedLookupLow  = 5 * time.Millisecond
	claimedLookupHigh = 10 * time.Millisecond
)

// judgeLookup takes the lookup without added delay first, then those with it in rising order.
func judgeLookup(found []lookup, cached lookup) claims.Finding {
	f := claims.Finding{Figures: map[string]float64{"cached_p50_ms": inMillis(cached.p50), "cached_p99_ms": inMillis(cached.p99)}}
	inRange := func(d time.Duration) bool { return d >= claimedLookupLow && d <= claimedLookupHigh }
	reaches := ""
	for i, l := range found {
		if i > 0 {
			f.Measured += ", "
		}
		where := "on the same host"
		if l.delay > 0 {
			where = "with " + l.delay.String() + " added"
		}
		f.Measured += fmt.Sprintf("%s %.2f ms (p99 %.2f)", where, inMillis(l.p50), inMillis(l.p99))
		f.Figures[fmt.Sprintf("p50_ms_delay_%d", l.delay.Milliseconds())] = inMillis(l.p50)
		f.Figures[fmt.Sprintf("p99_ms_delay_%d", l.delay.Milliseconds())] = inMillis(l.p99)
		if l.delay > 0 && reaches == "" && inRange(l.p50) {
			reaches = l.delay.String()
		}
	}
	f.Measured = "a lookup takes p50 " + f.Measured + fmt.Sprintf("; from a cache %s", cached.p50)
	switch {
	case inRange(found[0].p50):
		f.Verdict = reportv1.Verdict_VERDICT_REPRODUCED
	case reaches != "" && found[0].p50 < claimedLookupLow:
		f.Verdict = reportv1.Verdict_VERDICT_DEPENDS
		f.Note = "on the network: Redis itself takes a fraction of a millisecond, and 5-10 ms need a way of about " + reaches + " between"
	default:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_REPRODUCED
	}
	return f
}

func inMillis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
