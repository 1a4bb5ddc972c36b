package jarvis

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect"
	"github.com/jonboulle/clockwork"
	"github.com/redis/go-redis/v9"

	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/discovery"
	"github.com/smaran-v2/smaran/services/jarvis/archive"
	"github.com/smaran-v2/smaran/services/jarvis/handoff"
	"github.com/smaran-v2/smaran/services/jarvis/state"
	"github.com/smaran-v2/smaran/services/mesh/replies"
	"github.com/smaran-v2/smaran/services/peers"
	"github.com/smaran-v2/smaran/services/registry"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/telemetry"
)

const (
	// peerDial bounds a connection to another pod.
	peerDial = time.Second
	// peerConnections are kept to each.
	peerConnections = 64
	// peerIdle is below the servers' own idle time-outs.
	peerIdle = 30 * time.Second
)

// following is what a pod needs to hand sessions over: the list of pods, and the way to each. The zero pointer is a pod that does not.
type following struct {
	source  discovery.Source
	stop    context.CancelFunc
	rings   *handoff.Rings
	options handoff.Options
	http    *http.Transport
	// gate is nil for a pod that admits no others.
	gate *gatekeeper
	// archive is nil without one; redis is its client.
	archive *archive.Archive
	redis   *redis.Client
	log     *slog.Logger
}

// follow opens the list of pods, if the pod is to hand sessions over. Close ends it.
func follow(ctx context.Context, cfg Config, self Identity, tele *telemetry.Telemetry) (*following, error) {
	if !cfg.Handoff() {
		return nil, nil
	}
	clock := clockwork.NewRealClock()
	rings, err := handoff.NewRings(self.Address, cfg.Hash, affinity.Options{MinRingSize: cfg.RingSize}, clock)
	if err != nil {
		return nil, err
	}
	traces, err := telemetry.Interceptor(tele.Tracer, tele.Propagator)
	if err != nil {
		return nil, err
	}
	life, stop := context.WithCancel(context.WithoutCancel(ctx)) // it is needed until the drain is over
	source, err := cfg.Endpoints.Open(life, tele.Log)
	if err != nil {
		stop()
		return nil, err
	}
	if err := rings.Update(source.Current()); err != nil {
		tele.Log.ErrorContext(ctx, "these endpoints can't be hashed over", "error", err)
	}
	f := &following{source: source, stop: stop, rings: rings, log: tele.Log, http: &http.Transport{
		DialContext:         (&net.Dialer{Timeout: peerDial}).DialContext,
		MaxIdleConnsPerHost: peerConnections, IdleConnTimeout: peerIdle, DisableCompression: true,
	}}
	f.options = handoff.Options{
		Self:  handoff.Self{Name: self.Name, Address: self.Address, Incarnation: self.Incarnation},
		Rings: rings, Peers: peers.Way{URL: cfg.PeersURL}, HTTP: &http.Client{Transport: replies.Transport{Next: f.http}},
		Clients: []connect.ClientOption{
			connect.WithAcceptCompression("gzip", nil, nil),
			connect.WithInterceptors(traces, session.Interceptor(session.Lenient)),
		},
		Metrics: handoff.NewMetrics(tele.Registry), Clock: clock, Log: tele.Log,
	}
	if cfg.ReadinessGate != "" {
		if f.gate, err = newGatekeeper(cfg, f, clock); err != nil {
			f.close()
			return nil, err
		}
	}
	if cfg.SessionStore == storeRedis {
		registry.LogDriver(tele.Log)
		f.redis = registry.NewClient(cfg.RedisAddr, 0)
		f.archive = archive.New(archive.Config{Client: f.redis, TTL: cfg.RedisTTL, Clock: clock, Log: tele.Log})
		f.options.Archive = f.archive
	}
	return f, nil
}

// newHandoff is nil for a pod that hands nothing over.
func (f *following) newHandoff() NewHandoff {
	if f == nil {
		return nil
	}
	return func(store *state.Store, calls handoff.Calls, leaving func() bool) *handoff.Handoff {
		o := f.options
		o.Store, o.Calls, o.Leaving = store, calls, leaving
		return handoff.New(o)
	}
}

// close waits until nothing of it is left.
func (f *following) close() {
	if f == nil {
		return
	}
	f.stop()
	<-f.source.Done()
	f.gate.close()
	if f.redis != nil {
		_ = f.redis.Close() // only fails when it was closed before
	}
}

// run keeps the rings in step with the list until ctx ends, and has calls follow.
func (f *following) run(ctx context.Context, p *Pod) {
	defer f.http.CloseIdleConnections()
	stop := func() {}
	var work sync.WaitGroup
	defer func() {
		stop()
		work.Wait()
	}()
	if f.archive != nil {
		work.Go(func() { f.archive.Run(ctx) })
	}
	draining := p.draining
	for {
		changed := f.source.Changed()
		if err := f.rings.Update(f.source.Current()); err != nil {
			f.log.ErrorContext(ctx, "these endpoints can't be hashed over; the last ones stay", "error", err)
		}
		stop() // those that were being told are told again, as far as it is true still
		moving, end := context.WithCancel(ctx)
		stop = end
		work.Go(func() { p.MigrateCalls(moving) })
		select {
		case <-changed:
		case <-draining:
			draining = nil
		case <-ctx.Done():
			return
		}
	}
}
