package conduct

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"

	"connectrpc.com/connect"
	"github.com/jonboulle/clockwork"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/smaran-v2/smaran/loadtest/internal/conduct/tunnel"
	"github.com/smaran-v2/smaran/loadtest/internal/driver"
	"github.com/smaran-v2/smaran/loadtest/internal/engine"
	"github.com/smaran-v2/smaran/loadtest/internal/tally"
	conductorv1 "github.com/smaran-v2/smaran/proto/conductor/v1"
	"github.com/smaran-v2/smaran/proto/conductor/v1/conductorv1connect"
)

// Settings that a generator adds to its result.
const (
	SettingGenerator   = "generator"
	SettingClockOffset = "generator_clock"
)

// ErrConductor is returned for a run that the loss of its conductor ended.
var ErrConductor = errors.New("the conductor is gone, and the run with it")

// ControlPort is where a generator waits for its conductor, on its own localhost.
const ControlPort = 7700

// conductorURL names no host: there is one connection.
const conductorURL = "http://conductor"

// Generator makes the one run that its conductor assigns to it.
type Generator struct {
	// Version of this build.
	Version string
	Phones  engine.Switchboard
	// Live, Tracer and Propagator as engine.Engine has them.
	Live       tally.Observer
	Tracer     trace.TracerProvider
	Propagator propagation.TextMapPropagator
	// Dial, optional, connects to the coordinator.
	Dial  func(ctx context.Context, network, address string) (net.Conn, error)
	Clock clockwork.Clock
	Log   *slog.Logger
}

// Generate makes a run for the conductor that dialled conn, and returns when the conductor has its outcome. The end of ctx ends the
// run early, as the conductor may; the outcome then holds what was measured until then. It fails with ErrConductor where the
// connection breaks.
func (g *Generator) Generate(ctx context.Context, conn net.Conn) error {
	line, err := tunnel.NewClient(ctx, conn)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrConductor, err)
	}
	defer line.Close() //nolint:errcheck // nothing is left to be said over it
	conductor := conductorv1connect.NewConductorServiceClient(line, conductorURL)
	offset, err := compareClocks(ctx, g.Clock, conductor)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrConductor, err)
	}

	// The stream outlives ctx: the outcome has to go over it. What ends it is the connection.
	stream := conductor.Perform(context.WithoutCancel(ctx))
	defer stream.CloseResponse() //nolint:errcheck // as above
	run, err := g.accept(stream)
	if err != nil {
		return err
	}
	performing, stop := context.WithCancel(ctx)
	defer stop()
	var heeding sync.WaitGroup
	heeding.Go(func() { // ends with the stream, at the latest when conn is closed
		defer stop()
		for {
			res, err := stream.Receive()
			if err != nil {
				return
			}
			if res.GetStop() != nil {
				stop()
			}
		}
	})
	defer heeding.Wait()
	defer line.Close() //nolint:errcheck // as above

	outcome, err := g.perform(performing, line, offset, run, stream)
	if err != nil {
		return err
	}
	if err := stream.Send(&conductorv1.PerformRequest{Message: &conductorv1.PerformRequest_Outcome{Outcome: outcome}}); err != nil {
		return fmt.Errorf("%w: %w", ErrConductor, err)
	}
	if err := stream.CloseRequest(); err != nil {
		return fmt.Errorf("%w: %w", ErrConductor, err)
	}
	heeding.Wait() // until the conductor has it
	return nil
}

type performStream = connect.BidiStreamForClient[conductorv1.PerformRequest, conductorv1.PerformResponse]

// accept says hello and takes the assignment.
func (g *Generator) accept(stream *performStream) (engine.Spec, error) {
	hello := &conductorv1.Hello{Version: g.Version}
	if err := stream.Send(&conductorv1.PerformRequest{Message: &conductorv1.PerformRequest_Hello{Hello: hello}}); err != nil && !errors.Is(err, io.EOF) {
		return engine.Spec{}, fmt.Errorf("%w: %w", ErrConductor, err)
	}
	res, err := stream.Receive()
	if err != nil {
		return engine.Spec{}, fmt.Errorf("%w: %w", ErrConductor, err)
	}
	if res.GetAssignment() == nil {
		return engine.Spec{}, fmt.Errorf("%w: it assigned nothing", ErrConductor)
	}
	return spec(res.GetAssignment())
}

// perform runs the engine, and tells how far it is.
func (g *Generator) perform(ctx context.Context, line *tunnel.Client, offset clock, s engine.Spec, stream *performStream) (*conductorv1.Outcome, error) {
	latest := newLatest()
	var telling sync.WaitGroup
	telling.Go(func() { // the only one that sends while the engine runs; ends with latest
		for p := range latest.all {
			if stream.Send(&conductorv1.PerformRequest{Message: &conductorv1.PerformRequest_Progress{Progress: toProgress(p)}}) != nil {
				return // the connection is gone, as others find out too
			}
		}
	})
	histograms := map[string]tally.Histogram{}
	e := &engine.Engine{
		Driver: steered{driver.NewSteering(line.Client, conductorURL), offset, latest.open}, Phones: g.Phones, Dial: g.Dial, Clock: g.Clock, Log: g.Log,
		Live: g.Live, Tracer: g.Tracer, Propagator: g.Propagator,
		Progress:   latest.put,
		Histograms: func(_ engine.Spec, h map[string]tally.Histogram) { histograms = h },
	}
	result, runErr := e.Run(ctx, s)
	latest.end()
	telling.Wait()
	if result != nil {
		result.Settings[SettingGenerator] = g.Version
		result.Settings[SettingClockOffset] = fmt.Sprintf("the conductor's clock is ahead by %v, give or take %v", offset.ahead, offset.within/2)
	}
	return toOutcome(result, histograms, runErr)
}
