package mesh

import (
	"context"
	"errors"
	"io"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/jonboulle/clockwork"
	"golang.org/x/sync/errgroup"

	"github.com/smaran-v2/smaran/services/internal/admin"
	"github.com/smaran-v2/smaran/services/internal/httpserver"
	"github.com/smaran-v2/smaran/services/lifeline"
	"github.com/smaran-v2/smaran/services/telemetry"
)

// Run is the program: it serves until ctx ends, then lets requests in flight finish.
func Run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) error {
	o, err := Parse(args, environ, stdout)
	if errors.Is(err, ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if ctx, err = lifeline.Context(ctx, environ); err != nil {
		return err
	}
	t, err := telemetry.Setup(ctx, telemetry.Options{
		Service: "mesh",
		Level:   o.LogLevel,
		Format:  o.LogFormat,
		Out:     stderr,
		Environ: environ,
	})
	if err != nil {
		return err
	}
	defer t.Shutdown(ctx)
	relaxGC(environ)
	return serve(ctx, o, t)
}

// gcPercent lets the heap grow to five times what lives before it is collected. Of a proxy little lives, so that Go's default
// would collect every few hundred requests, to keep a heap of some megabytes from doubling.
const gcPercent = 400

func relaxGC(environ []string) {
	if !slices.ContainsFunc(environ, func(entry string) bool { return strings.HasPrefix(entry, "GOGC=") }) {
		debug.SetGCPercent(gcPercent)
	}
}

func serve(ctx context.Context, o Options, t *telemetry.Telemetry) error {
	public, err := httpserver.Listen(ctx, o.Listen)
	if err != nil {
		return err
	}
	operators, err := httpserver.Listen(ctx, o.Admin)
	if err != nil {
		_ = public.Close() // nothing was accepted
		return err
	}
	// The mesh outlives the server, so that requests in flight keep their pods.
	following, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	m, err := New(following, o, Dependencies{
		Log:        t.Log,
		Registry:   t.Registry,
		Clock:      clockwork.NewRealClock(),
		Tracer:     t.Tracer,
		Propagator: t.Propagator,
	})
	if err != nil {
		_, _ = public.Close(), operators.Close() // nothing was accepted
		return err
	}
	t.Log.Info("serving", "listen", public.Addr().String(), "admin", operators.Addr().String(), "policy", o.Policy)
	group, serving := errgroup.WithContext(ctx)
	group.Go(func() error {
		return httpserver.Serve(serving, t.Log, httpserver.Options{
			Name: "mesh", Listener: public, Handler: m, ShutdownGrace: o.ShutdownGrace})
	})
	group.Go(func() error {
		return httpserver.Serve(serving, t.Log, httpserver.Options{
			Name: "admin", Listener: operators, Handler: admin.New(admin.Options{Registry: t.Registry, Log: t.Log,
				Ready: func() error { return serving.Err() }})})
	})
	err = group.Wait()
	stop()
	m.Wait()
	return err
}
