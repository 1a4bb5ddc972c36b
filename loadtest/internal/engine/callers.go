package engine

import (
	"context"
	"log/slog"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jonboulle/clockwork"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/smaran-v2/smaran/loadtest/internal/client"
	"github.com/smaran-v2/smaran/loadtest/internal/plan"
	"github.com/smaran-v2/smaran/loadtest/internal/tally"
	"github.com/smaran-v2/smaran/services/session"
)

// Recorder takes what is seen of a caller, on its call included.
type Recorder interface {
	client.Recorder
	Gap(tally.Gap)
}

// NoEnd is the End of callers who go on.
const NoEnd = time.Duration(math.MaxInt64)

// Callers is what the callers of one load share.
type Callers struct {
	// Seed decides, with each caller's number, when it speaks and how its waits are jittered.
	Seed uint64
	// BaseURLs, Transport and Headerless as client.Config has them.
	BaseURLs   []string
	Transport  http.RoundTripper
	Headerless bool
	Behaviour

	Phones Switchboard
	Clock  clockwork.Clock
	// Epoch is from when times count.
	Epoch time.Time
	// End is from when on nothing is heard; a gap that is open then is cut there.
	End time.Duration
	Log *slog.Logger
	// Tracer and Propagator, optional, make a trace of each call.
	Tracer     trace.TracerProvider
	Propagator propagation.TextMapPropagator
}

// Caller is a simulated caller with a phone, and an ear on it.
type Caller struct {
	*client.Caller

	callers  *Callers
	call     int
	recorder Recorder
	pending  atomic.Int32

	mu      sync.Mutex
	handset Handset
	ear     *ear
}

// Caller makes the one with this number. The recorder is told of what it sees.
func (c *Callers) Caller(call int, id session.ID, recorder Recorder) (*Caller, error) {
	out := &Caller{callers: c, call: call, recorder: recorder}
	out.Renew()
	var err error
	out.Caller, err = client.New(client.Config{
		Call: call, Session: id, Headerless: c.Headerless, BaseURLs: c.BaseURLs, Transport: c.Transport,
		Phone: out, Recorder: recorder, OnMisroute: c.OnMisroute, RedialJitter: c.RedialJitter, Clock: c.Clock, Epoch: c.Epoch,
		Random: rand.New(rand.NewPCG(c.seed(call), 0x77616974)), Log: c.Log, // "wait"
		Tracer: c.Tracer, Propagator: c.Propagator,
	})
	return out, err
}

func (c *Callers) seed(call int) uint64 { return c.Seed + uint64(call) }

// Renew gives the caller another phone: what was heard on the last one is over, and the time until the next call is no gap. No call is
// up meanwhile.
func (c *Caller) Renew() {
	all := c.callers
	e := &ear{call: c.call, epoch: all.Epoch, end: all.End, threshold: all.GapThreshold, recorder: c.recorder}
	h := all.Phones.Handset(all.seed(c.call), all.Watchdog, e.hear)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ear, c.handset = e, h
}

// Dial implements client.Phone.
func (c *Caller) Dial(ctx context.Context, offer client.Offer) (client.Line, error) {
	h, _ := c.phone()
	return h.Dial(ctx, offer)
}

// Finish records a gap that is open, and hears nothing from then on.
func (c *Caller) Finish() {
	h, e := c.phone()
	h.Finish()
	e.finish()
}

func (c *Caller) phone() (Handset, *ear) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.handset, c.ear
}

// Do begins an action, whatever became of those before, and says false where the caller has too many unanswered requests. What it began
// goes on under ctx; work waits for it.
func (c *Caller) Do(ctx context.Context, a plan.Action, work *sync.WaitGroup) bool {
	switch a.Kind {
	case plan.Place:
		c.Place()
		return true
	case plan.Infer:
		if c.pending.Load() >= perCaller {
			return false
		}
	}
	c.pending.Add(1)
	work.Go(func() {
		defer c.pending.Add(-1)
		switch a.Kind {
		case plan.Infer:
			c.Infer(ctx, a.At)
		case plan.Trickle:
			c.Trickle(ctx)
		case plan.Control:
			c.Control(ctx)
		}
	})
	return true
}

// NewTransport is for so many callers to share; each may have a few requests and an event stream open. dial is optional.
func NewTransport(calls int, dial func(ctx context.Context, network, address string) (net.Conn, error)) *http.Transport {
	if dial == nil {
		dial = (&net.Dialer{Timeout: 5 * time.Second}).DialContext
	}
	return &http.Transport{
		DialContext:         dial,
		MaxIdleConnsPerHost: 4 * calls,
		MaxIdleConns:        4 * calls,
		IdleConnTimeout:     time.Minute,
		DisableCompression:  true,
	}
}
