package jarvis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/jonboulle/clockwork"
	"golang.org/x/sync/errgroup"

	"github.com/smaran-v2/smaran/services/internal/admin"
	"github.com/smaran-v2/smaran/services/internal/httpserver"
	"github.com/smaran-v2/smaran/services/registry"
	"github.com/smaran-v2/smaran/services/telemetry"
)

const (
	// shutdownGrace is how long requests in flight may take after the drain: a cold inference takes less than a second.
	shutdownGrace = 5 * time.Second
	// closeTimeout bounds the end of the calls that the drain left.
	closeTimeout = 5 * time.Second
)

// serve runs the pod until ctx ends and the drain is over, or alive ends. Everything it starts has ended when it returns.
func (p *Pod) serve(ctx, alive context.Context, cfg Config, s sockets, hands *following, tele *telemetry.Telemetry) error {
	handler, err := p.Handler()
	if err != nil {
		return errors.Join(err, p.closeSoon(ctx))
	}
	// Servers and lease outlive ctx by the drain.
	group, serving := errgroup.WithContext(context.WithoutCancel(ctx))
	serving, stop := context.WithCancel(serving)
	defer stop()

	if cfg.RedisAddr != "" {
		release, err := p.keepLease(serving, group, cfg, tele.Log)
		if err != nil {
			return errors.Join(err, p.closeSoon(ctx))
		}
		defer release()
	}
	if hands != nil {
		group.Go(func() error { hands.run(serving, p); return nil })
		// A pod that leaves lets others admit.
		admitting, leave := context.WithCancel(serving)
		defer leave()
		defer context.AfterFunc(ctx, leave)()
		defer context.AfterFunc(alive, leave)()
		group.Go(func() error { return hands.gate.run(admitting, p) })
	}
	listen := func(name string, l net.Listener, h http.Handler, connected func(net.Conn, http.ConnState)) {
		group.Go(func() error {
			return httpserver.Serve(serving, tele.Log,
				httpserver.Options{Name: name, Listener: l, Handler: h, ShutdownGrace: shutdownGrace, ConnState: connected})
		})
	}
	listen("api", s.public, handler, p.metrics.connected)
	listen("admin", s.admin, admin.New(admin.Options{Registry: tele.Registry, Ready: p.Ready, Draining: p.isDraining, Log: tele.Log}), nil)
	group.Go(func() error {
		defer stop()
		err := p.live(ctx, alive, serving, cfg.DrainTimeout)
		// Before the servers stop: they wait for streams, which end with their calls.
		return errors.Join(err, p.closeSoon(serving))
	})
	return group.Wait()
}

// closeSoon is Close within closeTimeout, also after ctx has ended.
func (p *Pod) closeSoon(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	return p.Close(ctx)
}

// live loads the weights, waits for an end, and drains.
func (p *Pod) live(ctx, alive, serving context.Context, drainTimeout time.Duration) error {
	loading, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(alive, stop)()
	switch err := p.Load(loading); {
	case err != nil && loading.Err() != nil: // asked to stop before it was ready
		return nil
	case err != nil:
		return err
	}
	select {
	case <-ctx.Done():
	case <-alive.Done():
	case <-serving.Done(): // a server failed, and says why
		return nil
	}
	p.Drain(alive, drainTimeout)
	return nil
}

// keepLease has the group hold the pod's lease until ctx ends; call release after that.
func (p *Pod) keepLease(ctx context.Context, group *errgroup.Group, cfg Config, log *slog.Logger) (release func(), err error) {
	registry.LogDriver(log)
	client := registry.NewClient(cfg.RedisAddr, 0)
	release = func() {
		if err := client.Close(); err != nil {
			log.Debug("registry client not closed", "error", err)
		}
	}
	lease, err := NewLease(p, client, cfg.RedisTTL, clockwork.NewRealClock(), log)
	if err != nil {
		release()
		return nil, fmt.Errorf("lease: %w", err)
	}
	p.OnState(lease.Refresh)
	group.Go(func() error {
		// A name that was taken over is logged there. The pod goes on: it is still reached by its address.
		if err := lease.Run(ctx); err != nil && !errors.Is(err, registry.ErrSuperseded) {
			return err
		}
		return nil
	})
	return release, nil
}
