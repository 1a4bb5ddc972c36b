package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/redis/go-redis/v9"

	"github.com/smaran-v2/smaran/services/session"
)

// Ownership is a session that a pod says is its own, and the highest epoch it saw of it.
type Ownership struct {
	Session session.ID
	Epoch   uint64
}

// LeaseConfig describes a pod that holds a lease.
type LeaseConfig struct {
	// Client stays the caller's to close, after Run returned.
	Client *redis.Client
	// Pod, Address and Incarnation are as in Pod. All are needed.
	Pod, Address, Incarnation string
	// Status is asked at each renewal. It must not block.
	Status func() Status
	// Owned lists the sessions to write down again after Redis was away. It must not block. Nil means none.
	Owned func() []Ownership
	// Superseded is told of sessions that turned out to have a newer owner meanwhile. It must not block. Nil: nobody is.
	Superseded func(session.ID, Owner)
	// SessionTTL is as in New.
	SessionTTL time.Duration
	// Clock paces the renewals. Nil means the real one.
	Clock clockwork.Clock
	Log   *slog.Logger
}

// Lease keeps a pod in the register. Losing it changes nothing at the pod: calls go on, and it is taken again as soon as Redis
// answers.
type Lease struct {
	config  LeaseConfig
	scripts scripts
	wake    chan struct{}
	// dials counts new connections: each may lead to a Redis that forgot what it was told, after a failover or a restart.
	dials atomic.Uint64

	// Owned by Run.
	taken    bool
	reached  bool
	asserted uint64 // the dials that are reflected in what was asserted
}

// NewLease checks the configuration; it does not talk to Redis. It fails with ErrConfig.
func NewLease(c LeaseConfig) (*Lease, error) {
	if c.Client == nil || c.Pod == "" || c.Address == "" || c.Incarnation == "" || c.Status == nil || c.Log == nil {
		return nil, fmt.Errorf("%w: a lease needs a client, a pod's name, address, incarnation and status, and a log", ErrConfig)
	}
	if c.Clock == nil {
		c.Clock = clockwork.NewRealClock()
	}
	if c.SessionTTL <= 0 {
		c.SessionTTL = DefaultSessionTTL
	}
	l := &Lease{config: c, scripts: newScripts(), wake: make(chan struct{}, 1), reached: true}
	c.Client.AddHook(dialCounter{&l.dials})
	return l, nil
}

// Refresh has Run renew at once, so that a change of state is seen before the second is over. It does not block.
func (l *Lease) Refresh() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Run takes the lease and renews it until ctx ends, then gives it up and returns nil. An unreachable Redis is logged and tried
// again. It returns ErrSuperseded, without giving the lease up, if a process that started later took the name over.
// It must be called once only.
func (l *Lease) Run(ctx context.Context) error {
	ticker := l.config.Clock.NewTicker(RenewalTime)
	defer ticker.Stop()
	for {
		if err := l.renew(ctx); errors.Is(err, ErrSuperseded) {
			return err
		}
		select {
		case <-ctx.Done():
			return l.release(context.WithoutCancel(ctx))
		case <-ticker.Chan():
		case <-l.wake:
		}
	}
}

func (l *Lease) renew(ctx context.Context) error {
	err := l.tryRenew(ctx)
	switch {
	case err == nil:
		if !l.reached {
			l.config.Log.InfoContext(ctx, "registry is back")
		}
		l.reached = true
	case errors.Is(err, ErrSuperseded):
		l.config.Log.ErrorContext(ctx, "lease lost to a process that started later", "error", err)
	case ctx.Err() != nil:
	default:
		if l.reached {
			l.config.Log.WarnContext(ctx, "registry does not answer; going on without", "error", err)
		}
		l.reached = false
	}
	return err
}

func (l *Lease) tryRenew(ctx context.Context) error {
	mode := "hold"
	if !l.taken {
		mode = "take"
	}
	s := l.config.Status()
	reply, err := l.scripts.renew.Run(ctx, l.config.Client, []string{podKey(l.config.Pod)},
		LeaseTTL.Milliseconds(), mode, l.config.Incarnation,
		fieldAddress, l.config.Address, fieldState, string(s.State),
		fieldSessions, s.Sessions, fieldMaxSessions, s.MaxSessions, fieldCalls, s.Calls, fieldMaxCalls, s.MaxCalls,
	).StringSlice()
	if err != nil {
		return unavailable(ctx, "renew lease", err)
	}
	if len(reply) != 2 {
		return unavailable(ctx, "renew lease", fmt.Errorf("script replied with %d values: expected 2", len(reply)))
	}
	if reply[0] == outcomeOther {
		return fmt.Errorf("renew lease of %s, now held by incarnation %s: %w", l.config.Pod, reply[1], ErrSuperseded)
	}
	l.taken = true
	// Read before asserting: a connection made meanwhile leads to another round.
	dials := l.dials.Load()
	if reply[0] == outcomeHeld && dials == l.asserted {
		return nil
	}
	if err := l.assert(ctx); err != nil {
		return err
	}
	l.asserted = dials
	return nil
}

// assertBatch is how many sessions go to Redis in one pipeline: a few milliseconds of its time.
const assertBatch = 100

func (l *Lease) assert(ctx context.Context) error {
	if l.config.Owned == nil {
		return nil
	}
	owned := l.config.Owned()
	for start := 0; start < len(owned); start += assertBatch {
		if err := l.assertSome(ctx, owned[start:min(start+assertBatch, len(owned))]); err != nil {
			return unavailable(ctx, "assert sessions", err)
		}
	}
	return nil
}

func (l *Lease) assertSome(ctx context.Context, owned []Ownership) error {
	cmds := make([]*redis.Cmd, len(owned))
	_, err := l.config.Client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, o := range owned {
			cmds[i] = l.scripts.assert.Eval(ctx, p, []string{sessionKey(string(o.Session))},
				l.config.SessionTTL.Milliseconds(), l.config.Pod, l.config.Address, l.config.Incarnation,
				strconv.FormatUint(o.Epoch, 10))
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i, cmd := range cmds {
		reply, err := cmd.StringSlice()
		if err != nil {
			return err
		}
		outcome, owner, err := ownerReply(reply)
		if err != nil {
			return err
		}
		if outcome == outcomeLost && l.config.Superseded != nil {
			l.config.Superseded(owned[i].Session, owner)
		}
	}
	return nil
}

// release gives the lease up, so that sessions are reclaimed at once instead of when it expires.
func (l *Lease) release(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, RenewalTime)
	defer cancel()
	err := l.scripts.release.Run(ctx, l.config.Client, []string{podKey(l.config.Pod)}, l.config.Incarnation).Err()
	if err != nil {
		l.config.Log.WarnContext(ctx, "lease not given up; it will expire", "error", err)
	}
	return nil
}

// dialCounter counts the connections that a client makes.
type dialCounter struct{ n *atomic.Uint64 }

func (d dialCounter) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := next(ctx, network, addr)
		if err == nil {
			d.n.Add(1)
		}
		return conn, err
	}
}

func (dialCounter) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (dialCounter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
