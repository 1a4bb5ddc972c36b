package program

import (
	"context"
	"errors"
	"net"
	"net/http"

	"github.com/jonboulle/clockwork"
	"golang.org/x/sync/errgroup"

	"github.com/smaran-v2/smaran/services/internal/admin"
	"github.com/smaran-v2/smaran/services/internal/config"
	"github.com/smaran-v2/smaran/services/internal/httpserver"
	"github.com/smaran-v2/smaran/services/lifeline"
	"github.com/smaran-v2/smaran/services/stage"
	"github.com/smaran-v2/smaran/services/stage/director"
	"github.com/smaran-v2/smaran/services/stage/recording"
	"github.com/smaran-v2/smaran/services/stage/scene"
	"github.com/smaran-v2/smaran/services/telemetry"
)

type serveCmd struct{}

// Run serves until ctx ends, or the process that started this one does.
func (*serveCmd) Run(ctx context.Context, i *invocation) error {
	cfg, err := config.Parse[Config](EnvPrefix, i.environ)
	if err != nil {
		return err
	}
	if ctx, err = lifeline.Context(ctx, i.environ); err != nil {
		return err
	}
	tel, err := telemetry.Setup(ctx, telemetry.Options{
		Service: "stage", Level: cfg.LogLevel, Format: cfg.LogFormat, Out: i.stderr, Environ: i.environ,
	})
	if err != nil {
		return err
	}
	defer tel.Shutdown(ctx)
	l, err := listen(ctx, &cfg)
	if err != nil {
		return err
	}
	return serve(ctx, &cfg, tel, l)
}

type listeners struct{ page, crowds, operators net.Listener }

func listen(ctx context.Context, c *Config) (l listeners, err error) {
	for _, one := range []struct {
		listener *net.Listener
		address  string
	}{{&l.page, c.Listen}, {&l.crowds, c.CrowdListen}, {&l.operators, c.AdminListen}} {
		if *one.listener, err = httpserver.Listen(ctx, one.address); err != nil {
			return l, errors.Join(err, l.close())
		}
	}
	return l, nil
}

func (l listeners) close() error {
	var err error
	for _, one := range []net.Listener{l.page, l.crowds, l.operators} {
		if one != nil {
			err = errors.Join(err, one.Close())
		}
	}
	return err
}

// serve runs a stage on its listeners, which it closes.
func serve(ctx context.Context, cfg *Config, tel *telemetry.Telemetry, l listeners) error {
	s, done, err := assemble(ctx, cfg, tel, l)
	if err != nil {
		return errors.Join(err, l.close())
	}
	defer done()
	tel.Log.InfoContext(ctx, "serving", "page", l.page.Addr().String(), "crowds", l.crowds.Addr().String(),
		"admin", l.operators.Addr().String(), "orders", s.Doer != nil)
	group, running := errgroup.WithContext(ctx)
	group.Go(func() error { return stage.Serve(running, s) })
	group.Go(func() error {
		return httpserver.Serve(running, tel.Log, httpserver.Options{Name: "admin", Listener: l.operators, Handler: admin.New(admin.Options{
			Registry: tel.Registry,
			// A stage is there to show a fleet that is down, too.
			Ready: func() error { return nil },
			Log:   tel.Log,
		})})
	})
	return group.Wait()
}

// assemble makes all that is served. done is for when it is served no more.
func assemble(ctx context.Context, cfg *Config, tel *telemetry.Telemetry, l listeners) (s stage.Server, done func(), err error) {
	clock := clockwork.NewRealClock()
	transport := &http.Transport{}
	client := &http.Client{Transport: transport}
	place, left, err := open(ctx, cfg, client, clock, tel.Log)
	if err != nil {
		return s, nil, err
	}
	leave := func() {
		left()
		transport.CloseIdleConnections()
	}
	defer func() {
		if err != nil {
			leave()
		}
	}()
	steered := cfg.Token != "" || stage.OnLoopback(l.page.Addr())
	if !steered {
		place = shown{place}
	}
	s = stage.Server{
		Options:  stage.Options{Scene: scene.New(clock), Lanes: place.Lanes(), Token: cfg.Token, Log: tel.Log},
		Listener: l.page, Crowds: l.crowds, Grace: cfg.ShutdownGrace,
	}
	s.Director, err = director.New(director.Options{
		Venue: place, Scene: s.Scene, Clock: clock, Log: tel.Log, HTTP: client, Seed: cfg.Seed, Calls: cfg.Calls, Rate: cfg.Rate,
	})
	if err != nil {
		return s, nil, err
	}
	if steered {
		s.Doer = s.Director
	}
	if cfg.Record != "" {
		// The variables are no part of it: one of them is the token.
		header, err := recording.Describe(ctx, "stage serve", clock.Now())
		if err != nil {
			return s, nil, err
		}
		if s.Recorder, err = recording.Create(cfg.Record, header); err != nil {
			return s, nil, err
		}
	}
	return s, leave, nil
}
