package crowd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"

	"github.com/jonboulle/clockwork"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/smaran-v2/smaran/loadtest/internal/engine"
	"github.com/smaran-v2/smaran/loadtest/internal/tally"
	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
)

// Crowd is one lane's. All fields without "optional" are needed.
type Crowd struct {
	// Stage is the base URL of the listener that crowds dial; http is HTTP/2 without TLS.
	Stage string
	Lane  string
	// Version of this build.
	Version string
	// Smaran, optional, is the coordinator's base URL, in place of what the stage says.
	Smaran string
	// Behaviour of the callers.
	Behaviour engine.Behaviour
	Phones    engine.Switchboard
	// Live, optional, is told of what callers see as well.
	Live tally.Observer
	// Tracer and Propagator, optional, make a trace of each call.
	Tracer     trace.TracerProvider
	Propagator propagation.TextMapPropagator
	// DialStage and DialSmaran, optional, connect.
	DialStage, DialSmaran func(ctx context.Context, network, address string) (net.Conn, error)
	Clock                 clockwork.Clock
	Log                   *slog.Logger
}

// manyCalls is how many connections the callers' transport is made for; more callers open and close some more of them.
const manyCalls = 256

// ErrReplaced is returned where another crowd took this one's place.
var ErrReplaced = errors.New("another crowd has this lane now")

// Run obeys the stage until ctx ends, and returns when all callers have hung up, which takes 2s at most. It ends by itself, with
// ErrReplaced, where the stage has another crowd for the lane: two would take it from each other for ever.
func (c *Crowd) Run(ctx context.Context) error {
	transport := engine.NewTransport(manyCalls, c.DialSmaran)
	defer transport.CloseIdleConnections()
	p := &present{crowd: c, transport: transport}
	defer p.leave()
	return c.attend(ctx, p)
}

// present are the callers that are there now, all of one take.
type present struct {
	crowd     *Crowd
	transport *http.Transport

	mu   sync.Mutex
	take *take
	// leaving counts earlier takes whose callers are hanging up.
	leaving sync.WaitGroup
}

// maxCalls of one crowd, against an order that was a slip.
const maxCalls = 5000

// errOrder is of an order that can't be obeyed.
var errOrder = errors.New("can't obey")

// obey does not wait for anybody. It fails with errOrder or plan.ErrLoad, and all goes on as before then.
func (p *present) obey(o *stagev1.CrowdOrder) error {
	smaran := p.crowd.Smaran
	if smaran == "" {
		smaran = o.GetSmaranUrl()
	}
	if smaran == "" {
		return fmt.Errorf("%w: the stage names no smaran, and neither did --smaran", errOrder)
	}
	if o.GetCalls() > maxCalls {
		return fmt.Errorf("%w: %d calls, want %d at most", errOrder, o.GetCalls(), maxCalls)
	}
	w, err := newWanted(o)
	if err != nil {
		return err
	}
	is := identity{smaran: smaran, seed: o.GetSeed(), take: o.GetTake()}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.take == nil || p.take.identity != is {
		p.end()
		p.take = newTake(p.crowd, p.transport, is)
	}
	return p.take.obey(w)
}

// book is where the callers that are there now write what they see; nil before the first order.
func (p *present) book() *book {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.take == nil {
		return nil
	}
	return p.take.book
}

// end has the callers hang up, and does not wait for it. It is called with mu held.
func (p *present) end() {
	if old := p.take; old != nil {
		p.take = nil
		p.leaving.Go(old.end)
	}
}

// leave has all hang up, and returns when they have.
func (p *present) leave() {
	p.mu.Lock()
	p.end()
	p.mu.Unlock()
	p.leaving.Wait()
}
