package backend

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/jonboulle/clockwork"
	"github.com/sony/gobreaker/v2"

	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/registry"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/wire"
)

const (
	// cacheSize bounds the sessions a process remembers: about 30 MB.
	cacheSize = 100_000
	// tripAfter failures in a row, the circuit opens: three requests have waited for a time-out each.
	tripAfter = 3
	// retryAfter is how long an open circuit stays open before one request may try.
	retryAfter = 500 * time.Millisecond
	// refreshTime is how often the pods' leases are read; they change each second.
	refreshTime = 500 * time.Millisecond
)

// Where a decision came from, as a metric's label.
const (
	sourceRedis    = "redis"
	sourceCache    = "cache"
	sourceStale    = "stale"
	sourceFallback = "fallback"
)

// What came of a session that was placed without Redis.
const (
	reconciledKept  = "kept"
	reconciledMoved = "moved"
)

// redisLeases asks the register who owns the session, with leases and epochs (package registry).
//
// Without Redis it serves the sessions it knows from its cache, for a bounded time, and places the others by rendezvous,
// marked degraded: processes that see the same endpoints agree on those without talking. What was placed so is claimed
// for the same pod once Redis is back. For as long as a lease lives after the last failure the register is not believed over the
// cache, because the pods may not have written down yet what a restarted Redis forgot.
type redisLeases struct {
	pods podSource
	directly
	registry *registry.Registry
	sweeper  *registry.Sweeper
	chooser  *registry.Chooser
	breaker  *gobreaker.CircuitBreaker[struct{}]
	cache    *lru.Cache[session.ID, placement]
	metrics  *Metrics
	rand     *lockedRand
	clock    clockwork.Clock
	log      *slog.Logger

	timeout, fresh, stale time.Duration
	// failed is when Redis last failed, in Unix nanoseconds; 0 if never.
	failed atomic.Int64
}

// placement is what is known of a session.
type placement struct {
	// owner has no pod if all that is known is an epoch.
	owner registry.Owner
	// at is when Redis said so.
	at time.Time
	// provisional: placed without Redis.
	provisional bool
	// left is the pod that a provisional placement was made to get away from.
	left string
	// known is the highest epoch seen.
	known uint64
}

func newRedis(d Deps) (Backend, error) {
	if d.Redis == nil {
		return nil, errNoRedis
	}
	cache, err := lru.New[session.ID, placement](cacheSize)
	if err != nil {
		return nil, fmt.Errorf("cache of sessions: %w", err)
	}
	d.Metrics.showRedis()
	register := registry.New(d.Redis, d.RedisTTL)
	b := &redisLeases{
		pods:     podSource{endpoints: d.Endpoints, build: rendezvous},
		directly: directly{d.Peers},
		registry: register,
		sweeper:  registry.NewSweeper(register, d.Clock, d.Log),
		chooser:  registry.NewChooser(d.rand()),
		cache:    cache,
		metrics:  d.Metrics,
		rand:     d.random(),
		clock:    d.Clock,
		log:      d.Log,
		timeout:  d.RedisTimeout,
		fresh:    d.RedisCache,
		stale:    d.RedisStale,
	}
	b.breaker = gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name:        "redis",
		Timeout:     retryAfter,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= tripAfter },
		IsSuccessful: func(err error) bool {
			return !errors.Is(err, registry.ErrUnavailable)
		},
		// A caller that went away says nothing about Redis. A dial that timed out does, though its error too is a DeadlineExceeded.
		IsExcluded: func(err error) bool {
			return !errors.Is(err, registry.ErrUnavailable) &&
				(errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded))
		},
		OnStateChange: func(_ string, from, to gobreaker.State) {
			b.metrics.circuitState(to)
			level := slog.LevelWarn
			if from != gobreaker.StateClosed && to != gobreaker.StateClosed {
				level = slog.LevelDebug // once a second for as long as Redis is away
			}
			b.log.Log(context.Background(), level, "circuit to redis", "from", from, "to", to)
		},
	})
	return b, nil
}

func (b *redisLeases) Route(ctx context.Context, r Request) (Target, error) {
	if err := ctx.Err(); err != nil {
		return Target{}, err
	}
	pods, err := b.pods.get()
	if err != nil && !errors.Is(err, ErrNoPods) {
		return Target{}, err
	}
	if r.Session == "" {
		if err != nil {
			return Target{}, err
		}
		return b.to(pods.rotation[b.rand.intN(len(pods.rotation))]), nil
	}
	known, _ := b.cache.Get(r.Session)
	if source := b.trusted(pods, r, known); source != "" {
		return b.decide(known, source), nil
	}
	owner, err := b.claim(ctx, pods, r, known)
	switch {
	case err == nil:
		placed := placement{owner: owner, at: b.clock.Now(), known: max(owner.Epoch, known.known)}
		b.cache.Add(r.Session, placed)
		return b.decide(placed, sourceRedis), nil
	case ctx.Err() != nil:
		return Target{}, ctx.Err()
	}
	return b.fallBack(pods, r, known)
}

// trusted says why what is known of a session may be used without asking, or "".
func (b *redisLeases) trusted(pods *pods, r Request, known placement) string {
	if r.LostPod != "" || r.Refused != nil || known.owner.Pod == "" {
		return ""
	}
	if !known.provisional && b.clock.Since(known.at) < b.fresh {
		return sourceCache
	}
	if b.settling() && b.servesStale(pods, known) {
		return sourceStale
	}
	return ""
}

// settling reports whether Redis failed so recently that pods may not have renewed their leases since.
func (b *redisLeases) settling() bool {
	failed := b.failed.Load()
	return failed != 0 && b.clock.Since(time.Unix(0, failed)) < registry.LeaseTTL
}

// servesStale reports whether a placement is good enough without Redis: the pod is still there, and Redis said so recently.
func (b *redisLeases) servesStale(pods *pods, known placement) bool {
	if !known.provisional && b.clock.Since(known.at) > b.stale {
		return false
	}
	e, there := pods.set.Lookup(known.owner.Pod)
	return there && e.Address == known.owner.Address
}

func (b *redisLeases) decide(p placement, source string) Target {
	if p.provisional {
		source = sourceFallback
	}
	b.metrics.decided(source)
	t := Addressed(b.way, p.owner.Pod, p.owner.Address)
	t.Degraded = p.provisional
	if p.owner.Epoch > 0 {
		t.Epoch = p.owner.Epoch
		if t.Header == nil {
			t.Header = http.Header{}
		}
		t.Header.Set(wire.HeaderEpoch, strconv.FormatUint(t.Epoch, 10))
	}
	return t
}

// claim asks the register, through the circuit.
func (b *redisLeases) claim(ctx context.Context, pods *pods, r Request, known placement) (registry.Owner, error) {
	var owner registry.Owner
	err := b.throughCircuit(ctx, func(ctx context.Context) error {
		candidates, err := b.candidates(ctx, pods, r, known)
		if err != nil {
			return err
		}
		claim := registry.Claim{Candidates: candidates, Avoid: avoid(r, known), KnownEpoch: known.known}
		for _, e := range pods.set.Endpoints {
			if !slices.Contains(candidates, e.Pod) {
				claim.Others = append(claim.Others, e.Pod)
			}
		}
		var assigned bool
		owner, assigned, err = b.registry.Claim(ctx, r.Session, claim)
		if assigned {
			b.chooser.Given(owner.Pod)
		}
		return err
	})
	return owner, err
}

// throughCircuit bounds one conversation with Redis and counts how it went.
func (b *redisLeases) throughCircuit(ctx context.Context, talk func(context.Context) error) error {
	_, err := b.breaker.Execute(func() (struct{}, error) {
		bounded, cancel := context.WithTimeout(ctx, b.timeout)
		defer cancel()
		err := talk(bounded)
		if err != nil && bounded.Err() != nil && ctx.Err() == nil {
			// The time ran out that Redis has, not the caller's. Its error is no context's, so that it counts as a failure.
			err = fmt.Errorf("%w within %s", registry.ErrUnavailable, b.timeout)
		}
		return struct{}{}, err
	})
	if errors.Is(err, registry.ErrUnavailable) || errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		b.failed.Store(b.clock.Now().UnixNano())
	}
	return err
}

// candidates ranks the pods that may become the owner: the one that has the session as far as is known, then as the chooser
// says.
func (b *redisLeases) candidates(ctx context.Context, pods *pods, r Request, known placement) ([]string, error) {
	lost := r.LostPod
	if r.Refused == nil {
		lost = "" // the claim avoids it by itself
	}
	inRotation := func(pod string) bool {
		return pod != lost && slices.ContainsFunc(pods.rotation, func(e endpoints.Endpoint) bool { return e.Pod == pod })
	}
	ranked := b.chooser.Rank(inRotation)
	if len(ranked) == 0 {
		// Before the first refresh, or after all pods changed at once.
		if err := b.refresh(ctx, pods); err != nil {
			return nil, err
		}
		ranked = b.chooser.Rank(inRotation)
	}
	if i := slices.Index(ranked, known.owner.Pod); i > 0 {
		ranked = slices.Insert(slices.Delete(ranked, i, i+1), 0, known.owner.Pod)
	}
	return ranked, nil
}

// avoid is the pod that a session should not be at: the one that just could not take it, else the one the client lost, else the
// one it was moved away from while Redis was down.
func avoid(r Request, known placement) string {
	if r.Refused != nil {
		switch r.Refused.Outcome.Result {
		case Draining, Unreachable, Astray:
			return r.Refused.Target.Pod
		}
	}
	if r.LostPod != "" {
		return r.LostPod
	}
	return known.left
}

// fallBack chooses without Redis.
func (b *redisLeases) fallBack(pods *pods, r Request, known placement) (Target, error) {
	shunned := avoid(r, known)
	if known.owner.Pod != "" && known.owner.Pod != shunned && b.servesStale(pods, known) {
		return b.decide(known, sourceStale), nil
	}
	if len(pods.rotation) == 0 {
		return Target{}, fmt.Errorf("%w: none of %d endpoints is in rotation", ErrNoPods, len(pods.set.Endpoints))
	}
	e := pods.rendezvous(r.Session, r.LostPod, shunned)
	placed := placement{
		owner:       registry.Owner{Pod: e.Pod, Address: e.Address},
		provisional: true,
		left:        shunned,
		known:       known.known,
	}
	b.cache.Add(r.Session, placed)
	return b.decide(placed, sourceFallback), nil
}

// Learn drops what turned out to be wrong. The pod's word on its epoch is taken into the next claim.
func (b *redisLeases) Learn(_ context.Context, r Request, t Target, o Outcome) Lesson {
	if r.Session == "" {
		return Lesson{}
	}
	switch o.Result {
	case NotHeld:
		// Without a later epoch or another owner the call is simply over, and asking again changes nothing.
		if o.Epoch <= t.Epoch && (o.Owner == "" || o.Owner == t.Pod) {
			return Lesson{}
		}
		b.cache.Add(r.Session, placement{known: max(o.Epoch, t.Epoch)})
		return Lesson{Retry: true}
	case Draining, Unreachable:
		known, _ := b.cache.Get(r.Session)
		b.cache.Add(r.Session, placement{known: known.known, left: t.Pod})
		return Lesson{Retry: true}
	case Astray:
		known, _ := b.cache.Get(r.Session)
		b.cache.Add(r.Session, b.strayed(t, o, known))
		return Lesson{Retry: true}
	}
	return Lesson{}
}

// strayed is a session whose request the mesh took to another pod than its owner. If that one served it, it is claimed for it, as if
// it had been placed there without Redis; the register still names the owner, which the mesh can't reach.
func (b *redisLeases) strayed(t Target, o Outcome, known placement) placement {
	p := placement{known: max(known.known, t.Epoch, o.Epoch), left: t.Pod}
	if !o.Served {
		return p
	}
	if e, there := b.pods.endpoints.Current().Lookup(o.Pod); there {
		p.owner, p.provisional = registry.Owner{Pod: e.Pod, Address: e.Address}, true
	}
	return p
}
