package generator

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/smaran-v2/smaran/loadtest/internal/conduct"
	"github.com/smaran-v2/smaran/loadtest/internal/engine"
	"github.com/smaran-v2/smaran/loadtest/internal/live"
	"github.com/smaran-v2/smaran/loadtest/internal/peer"
	"github.com/smaran-v2/smaran/services/telemetry"
	"github.com/smaran-v2/smaran/services/version"
)

// generateCmd is what the Job in a cluster runs: one run, for whoever conducts it.
type generateCmd struct {
	MediaAddress netip.Addr    `help:"Address that calls are made from: the pod's own." required:"" placeholder:"IP"`
	Metrics      string        `help:"Shows Prometheus what callers see, at this address; default: nowhere." placeholder:"ADDR"`
	Wait         time.Duration `help:"How long to wait for a conductor." default:"2m"`
}

// Run waits for a conductor on the pod's localhost and makes its run.
func (c *generateCmd) Run(ctx context.Context, tele *telemetry.Telemetry, log *slog.Logger) error {
	conn, err := c.conductor(ctx, log)
	if err != nil {
		return err
	}
	api, err := peer.NewAPI(peer.APIOptions{Log: log, Local: []netip.Addr{c.MediaAddress}})
	if err != nil {
		_ = conn.Close()
		return fmt.Errorf("make the callers' phones: %w", err)
	}
	defer api.Close()
	g := &conduct.Generator{Version: version.String(), Phones: engine.Pion{API: api}, Clock: clockwork.NewRealClock(), Log: log,
		Tracer: tele.Tracer, Propagator: tele.Propagator}
	if c.Metrics != "" {
		g.Live = live.New(tele.Registry)
		stop, err := live.Serve(ctx, c.Metrics, tele.Registry, log)
		if err != nil {
			_ = conn.Close()
			return err
		}
		defer stop()
	}
	return g.Generate(ctx, conn)
}

// conductor accepts one connection, and no second one.
func (c *generateCmd) conductor(ctx context.Context, log *slog.Logger) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Wait)
	defer cancel()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", conduct.ControlPort))
	if err != nil {
		return nil, fmt.Errorf("listen for a conductor: %w", err)
	}
	defer context.AfterFunc(ctx, func() { _ = listener.Close() })()
	defer listener.Close() //nolint:errcheck // it has served its purpose
	log.Info("waiting for a conductor", "address", listener.Addr())
	conn, err := listener.Accept()
	if err != nil {
		return nil, fmt.Errorf("wait for a conductor: %w", cmp.Or(context.Cause(ctx), err))
	}
	return conn, nil
}
