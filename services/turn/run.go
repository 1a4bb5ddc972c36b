package turn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/jonboulle/clockwork"
	"github.com/pion/turn/v5"
	"golang.org/x/sync/errgroup"

	"github.com/smaran-v2/smaran/services/discovery"
	"github.com/smaran-v2/smaran/services/internal/admin"
	"github.com/smaran-v2/smaran/services/internal/config"
	"github.com/smaran-v2/smaran/services/internal/healthcheck"
	"github.com/smaran-v2/smaran/services/internal/httpserver"
	"github.com/smaran-v2/smaran/services/jarvis/call/pionlog"
	"github.com/smaran-v2/smaran/services/lifeline"
	"github.com/smaran-v2/smaran/services/telemetry"
)

// Run relays until ctx ends or the process that started this one dies, then waits a while for allocations to end. Its one argument is health,
// which asks another such process on this host whether it is ready: see Config for its environment.
func Run(ctx context.Context, args, environ []string, _, stderr io.Writer) error {
	if len(args) > 0 && !healthcheck.Asked(args) {
		return fmt.Errorf("unexpected argument %q: turn is configured by %s* in its environment", args[0], EnvPrefix)
	}
	cfg, err := config.Parse[Config](EnvPrefix, environ)
	if err != nil {
		return err
	}
	if healthcheck.Asked(args) {
		return healthcheck.Ready(ctx, cfg.AdminListen)
	}
	ctx, err = lifeline.Context(ctx, environ)
	if err != nil {
		return err
	}
	tel, err := telemetry.Setup(ctx, telemetry.Options{
		Service: "turn", Level: cfg.LogLevel, Format: cfg.LogFormat, Out: stderr, Environ: environ,
	})
	if err != nil {
		return err
	}
	defer tel.Shutdown(ctx)

	// The list of pods is followed, and operators are answered, until the last allocation has ended.
	living, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var pods discovery.Source
	if !cfg.Endpoints.IsZero() {
		starting := context.AfterFunc(ctx, stop) // what waits at the start ends with ctx
		pods, err = cfg.Endpoints.Open(living, tel.Log)
		starting()
		if err != nil {
			return err
		}
		defer func() { stop(); <-pods.Done() }()
	}
	operators, err := httpserver.Listen(ctx, cfg.AdminListen)
	if err != nil {
		return err
	}
	r, err := open(ctx, cfg, pods, tel)
	if err != nil {
		_ = operators.Close() // nothing was accepted
		return err
	}
	tel.Log.InfoContext(ctx, "serving", "address", cfg.Listen, "relay", cfg.RelayAddress.String(), "admin", operators.Addr().String())

	group, serving := errgroup.WithContext(ctx)
	group.Go(func() error {
		return httpserver.Serve(living, tel.Log, httpserver.Options{Name: "admin", Listener: operators, Handler: admin.New(admin.Options{
			Registry: tel.Registry, Log: tel.Log,
			Ready: func() error { return serving.Err() },
		})})
	})
	group.Go(func() error {
		defer stop()
		<-serving.Done()
		return r.close(cfg, clockwork.NewRealClock())
	})
	return group.Wait()
}

// server is the relay on its sockets.
type server struct {
	server *turn.Server
	relays *relays
}

// open listens on the one port, by UDP and by TCP.
func open(ctx context.Context, cfg Config, pods discovery.Source, tel *telemetry.Telemetry) (*server, error) {
	var config net.ListenConfig
	datagrams, err := config.ListenPacket(ctx, "udp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: %w", cfg.Listen, err)
	}
	streams, err := httpserver.Listen(ctx, cfg.Listen)
	if err != nil {
		_ = datagrams.Close() // nothing was read
		return nil, err
	}
	m, clock := newMetrics(tel.Registry), clockwork.NewRealClock()
	var (
		who  = &access{secret: []byte(cfg.Secret), clock: clock, metrics: m}
		to   = &peers{own: cfg.RelayAddress.Unmap(), networks: cfg.Peers, pods: pods}
		s    = &server{relays: newRelays(cfg, clock, m)}
		asks = func(_ net.Addr, ip net.IP) bool {
			admitted := to.admits(ip)
			if !admitted {
				m.refuse(peer)
			}
			return admitted
		}
	)
	s.server, err = turn.NewServer(turn.ServerConfig{
		PacketConnConfigs: []turn.PacketConnConfig{{PacketConn: datagrams, RelayAddressGenerator: s.relays, PermissionHandler: asks}},
		ListenerConfigs: []turn.ListenerConfig{{
			Listener: newListener(streams, cfg, m), RelayAddressGenerator: s.relays, PermissionHandler: asks,
		}},
		LoggerFactory: pionlog.New(tel.Log), Realm: cfg.Realm, AllocationLifetime: cfg.Lifetime, InboundMTU: maxPacket,
		AuthHandler: who.key, QuotaHandler: s.relays.hasRoom,
		EventHandler: turn.EventHandler{
			OnAuth: func(_, _ net.Addr, _, _, _, _ string, verdict bool) {
				if !verdict {
					m.refuse(forged)
				}
			},
			OnAllocationCreated: func(caller, _ net.Addr, _, _, _ string, _ net.Addr, _ int) { m.of(caller).Inc() },
			OnAllocationDeleted: func(caller, _ net.Addr, _, _, _ string) { m.of(caller).Dec() },
		},
	})
	if err != nil {
		_, _ = datagrams.Close(), streams.Close() // nothing was accepted
		return nil, fmt.Errorf("turn: %w", err)
	}
	return s, nil
}

// close refuses new allocations, waits the grace for the last to end, and ends what is left.
func (s *server) close(cfg Config, clock clockwork.Clock) error {
	empty := s.relays.drain()
	grace := clock.NewTimer(cfg.ShutdownGrace)
	defer grace.Stop()
	select {
	case <-empty:
	case <-grace.Chan():
	}
	err := s.server.Close()
	<-empty // closed sockets end their readers, and those the allocations
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("close the relay: %w", err)
	}
	return nil
}
