package conduct

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/smaran-v2/smaran/loadtest/internal/conduct/tunnel"
	"github.com/smaran-v2/smaran/loadtest/internal/driver"
	"github.com/smaran-v2/smaran/loadtest/internal/engine"
	conductorv1 "github.com/smaran-v2/smaran/proto/conductor/v1"
	"github.com/smaran-v2/smaran/proto/conductor/v1/conductorv1connect"
	"github.com/smaran-v2/smaran/proto/fleet/v1/fleetv1connect"
)

// performance is one run at the conductor's side.
type performance struct {
	conductor *Conductor
	spec      engine.Spec
	fleet     driver.Fleet

	// stop is closed when the generator is to end early.
	stop     chan struct{}
	stopOnce sync.Once
	// outcome has room for the one there is.
	outcome chan *conductorv1.Outcome
}

func newPerformance(c *Conductor, s engine.Spec, f driver.Fleet) *performance {
	return &performance{conductor: c, spec: s, fleet: f, stop: make(chan struct{}), outcome: make(chan *conductorv1.Outcome, 1)}
}

// over serves the generator over conn until the outcome is there. It fails with ErrGenerator.
func (p *performance) over(ctx context.Context, conn net.Conn) (*conductorv1.Outcome, error) {
	serving, hangUp := context.WithCancel(context.WithoutCancel(ctx))
	mux := http.NewServeMux()
	mux.Handle(conductorv1connect.NewConductorServiceHandler(p))
	mux.Handle(fleetv1connect.NewFleetServiceHandler(control{fleet: p.fleet}))
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = tunnel.Serve(serving, conn, mux) // why it ended matters less than that it did: the generator's words say more
	}()
	defer func() {
		hangUp()
		<-served
	}()

	var patience <-chan time.Time
	done, died := ctx.Done(), p.fleet.Died()
	for {
		select {
		case o := <-p.outcome:
			// The generator is told by the end of its stream that the outcome is here, and hangs up.
			timer := p.conductor.Clock.NewTimer(stopGrace)
			defer timer.Stop()
			select {
			case <-served:
			case <-timer.Chan():
			}
			return o, nil
		case <-served:
			select {
			case o := <-p.outcome:
				return o, nil
			default:
			}
			return nil, fmt.Errorf("%w: the connection to it broke before it had sent its result", ErrGenerator)
		case <-patience:
			return nil, fmt.Errorf("%w: it was asked to stop, and sent nothing for %v", ErrGenerator, stopGrace)
		case <-done:
			done = nil
		case <-died:
			died = nil
		}
		p.stopOnce.Do(func() { close(p.stop) })
		if patience == nil {
			timer := p.conductor.Clock.NewTimer(stopGrace)
			defer timer.Stop()
			patience = timer.Chan()
		}
	}
}

// Clock implements conductor.v1.
func (p *performance) Clock(context.Context, *connect.Request[conductorv1.ClockRequest]) (*connect.Response[conductorv1.ClockResponse], error) {
	return connect.NewResponse(&conductorv1.ClockResponse{Now: timestamppb.New(p.conductor.Clock.Now())}), nil
}

// errSecond is what a second stream of one run fails with.
var errSecond = errors.New("this run has had its outcome")

// Perform implements conductor.v1.
func (p *performance) Perform(_ context.Context, stream *connect.BidiStream[conductorv1.PerformRequest, conductorv1.PerformResponse]) error {
	first, err := stream.Receive()
	if err != nil {
		return err
	}
	if v := first.GetHello().GetVersion(); v != p.conductor.Version {
		p.conductor.Log.Warn("the generator is of another build", "generator", v, "conductor", p.conductor.Version)
	}
	task := &conductorv1.PerformResponse{Message: &conductorv1.PerformResponse_Assignment{Assignment: assignment(p.spec)}}
	if err := stream.Send(task); err != nil {
		return err
	}
	var stopping sync.WaitGroup
	over := make(chan struct{})
	defer stopping.Wait()
	defer close(over)
	stopping.Go(func() { // the only one that sends from here on; ends with the stream
		select {
		case <-over:
		case <-p.stop:
			_ = stream.Send(&conductorv1.PerformResponse{Message: &conductorv1.PerformResponse_Stop{Stop: &conductorv1.Stop{}}}) // a lost one ends by patience
		}
	})
	for {
		req, err := stream.Receive()
		if err != nil {
			return err
		}
		switch m := req.GetMessage().(type) {
		case *conductorv1.PerformRequest_Progress:
			p.conductor.progress(fromProgress(m.Progress))
		case *conductorv1.PerformRequest_Outcome:
			select {
			case p.outcome <- m.Outcome:
				return nil
			default:
				return connect.NewError(connect.CodeFailedPrecondition, errSecond)
			}
		}
	}
}
