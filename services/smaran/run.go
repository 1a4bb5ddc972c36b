package smaran

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/smaran-v2/smaran/services/internal/admin"
	"github.com/smaran-v2/smaran/services/internal/config"
	"github.com/smaran-v2/smaran/services/internal/healthcheck"
	"github.com/smaran-v2/smaran/services/internal/httpserver"
	"github.com/smaran-v2/smaran/services/lifeline"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/smaran/backend"
	"github.com/smaran-v2/smaran/services/telemetry"
	"github.com/smaran-v2/smaran/services/wire"
)

// Run serves the public API until ctx ends or the process that started this one dies, then lets requests finish. Its one
// argument is health, which asks another such process on this host whether it is ready: see Config for its environment.
func Run(ctx context.Context, args, environ []string, _, stderr io.Writer) error {
	if len(args) > 0 && !healthcheck.Asked(args) {
		return fmt.Errorf("unexpected argument %q: smaran is configured by %s* in its environment", args[0], EnvPrefix)
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
		Service: "smaran", Level: cfg.LogLevel, Format: cfg.LogFormat, Out: stderr, Environ: environ,
	})
	if err != nil {
		return err
	}
	defer tel.Shutdown(ctx)

	api, err := httpserver.Listen(ctx, cfg.Listen)
	if err != nil {
		return err
	}
	operators, err := httpserver.Listen(ctx, cfg.AdminListen)
	if err != nil {
		_ = api.Close()
		return err
	}
	return serve(ctx, cfg, tel, api, operators)
}

// serve runs smaran on two listeners, which it closes.
func serve(ctx context.Context, cfg Config, tel *telemetry.Telemetry, api, operators net.Listener) error {
	// Background work outlives the requests that need it.
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	starting := context.AfterFunc(ctx, stop) // what waits at the start ends with ctx
	app, err := assemble(background, cfg, tel)
	starting()
	if err != nil {
		_, _ = api.Close(), operators.Close()
		return err
	}
	defer app.close()

	working := make(chan struct{})
	go func() {
		defer close(working)
		app.backends.Run(background, cfg.running()...)
	}()
	defer func() { stop(); <-working; <-app.pods.Done() }()

	if cfg.PublicURL != "" {
		tel.Log.InfoContext(ctx, "try it: curl -H '"+strings.ToLower(session.Header)+": room-42' "+cfg.PublicURL+wire.PathInference)
	}
	tel.Log.InfoContext(ctx, "serving", "backend", cfg.Backend, "address", api.Addr().String(), "admin", operators.Addr().String())
	servers, serving := errgroup.WithContext(ctx)
	servers.Go(func() error {
		return httpserver.Serve(serving, tel.Log, httpserver.Options{
			Name: "api", Listener: api, Handler: app.api, ShutdownGrace: cfg.ShutdownGrace,
		})
	})
	servers.Go(func() error {
		return httpserver.Serve(serving, tel.Log, httpserver.Options{Name: "admin", Listener: operators, Handler: admin.New(admin.Options{
			Registry: tel.Registry,
			// What smaran needs besides itself can only be out of order for all of its replicas at once, so none is unready for it.
			Ready: func() error { return nil },
			Log:   tel.Log,
		})})
	})
	return servers.Wait()
}

// running are the backends whose background work is needed.
func (c *Config) running() []backend.Name {
	if c.AllowBackendOverride {
		return backend.Names()
	}
	return []backend.Name{c.Backend}
}
