package client

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/smaran-v2/smaran/loadtest/internal/tally"
	"github.com/smaran-v2/smaran/services/wire"
)

// Caller is one simulated caller. Run owns its call; the other methods are the things it does, each for as long as it takes, and may
// run at the same time.
type Caller struct {
	cfg  Config
	edge *edge

	ledger ledger
	// start is closed by Place.
	start     chan struct{}
	startOnce sync.Once

	mu sync.Mutex
	// call is nil while none is up; latest is the last that was.
	call, latest *placed
}

// New makes a caller that does nothing yet.
func New(cfg Config) (*Caller, error) {
	cfg.Timeouts = cfg.Timeouts.withDefaults()
	if cfg.OnMisroute == "" {
		cfg.OnMisroute = Redial
	}
	c := &Caller{cfg: cfg, start: make(chan struct{})}
	var err error
	if c.edge, err = newEdge(cfg, func() { c.happened(tally.Forward) }); err != nil {
		return nil, err
	}
	return c, nil
}

// Place tells Run to put the call up.
func (c *Caller) Place() { c.startOnce.Do(func() { close(c.start) }) }

// LeaveOut has the caller send no session header from now on, or send it again. Without it the caller can only Infer.
func (c *Caller) LeaveOut(header bool) { c.edge.headerless.Store(header) }

// Run waits for Place, puts the call up and keeps it up until ctx ends, and hangs it up then. It may be run again, after it has returned: it
// is the same conversation, on another call.
func (c *Caller) Run(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-c.start:
	}
	defer c.edge.beginCall(ctx)()
	var why *need
	for {
		call, ok := c.place(ctx, why)
		if !ok {
			return
		}
		call, next, ok := c.talk(ctx, call)
		c.setCall(nil)
		if !ok {
			c.cfg.Recorder.HungUp(c.cfg.Call, c.now())
			c.hangup(ctx, call)
			return
		}
		c.cfg.Log.Debug("redial", "call", c.cfg.Call, "pod", call.offered.Pod, "why", next.why)
		c.cfg.Recorder.Loss(c.cfg.Call, c.now())
		c.happened(tally.Renegotiation)
		c.release(call)
		why = next
	}
}

// talk keeps a call up, moving it where it is told to, until there is a reason to redial, or ctx ends. It returns the call as it is then.
func (c *Caller) talk(ctx context.Context, call *placed) (*placed, *need, bool) {
	for {
		why, to, ok := call.wait(ctx)
		if !ok || why != nil {
			return call, why, ok
		}
		if moved := c.migrate(ctx, call, *to); moved != nil {
			call = moved
		}
	}
}

// migrate dials the pod that a call is to move to, and hangs up the old one once the agent is heard there. It returns nil where that
// fails: then the old call goes on.
func (c *Caller) migrate(ctx context.Context, call *placed, to migration) *placed {
	dialling, stop := context.WithCancel(ctx)
	defer stop()
	defer c.whenLost(dialling, call, stop)()
	moved, err := c.dial(dialling, c.header(http.Header{wire.HeaderMigrate: {to.token}}))
	if err != nil {
		if ctx.Err() == nil {
			c.cfg.Recorder.SideError("migration: " + Code(err))
			c.cfg.Log.Debug("did not move", "call", c.cfg.Call, "pod", to.pod, "error", err)
		}
		return nil
	}
	c.happened(tally.Migration)
	c.cfg.Recorder.Moved(c.cfg.Call, c.now(), moved.offered.Pod)
	c.setCall(moved)
	call.endFollow() // a caller has one stream
	<-call.followed
	c.follow(ctx, moved)
	c.release(call)
	return moved
}

// lateAgent is how long an agent that has fallen silent may take to be heard on the second call.
const lateAgent = 200 * time.Millisecond

// whenLost stops dialling the second call once the first is lost and the second is not there soon: then a redial is due. The function it
// returns ends the watch.
func (c *Caller) whenLost(ctx context.Context, call *placed, stop context.CancelFunc) (end func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-ctx.Done():
			return
		case <-call.line.Lost():
		case <-call.needed:
		}
		if c.pause(ctx, lateAgent) {
			stop()
		}
	}()
	return func() {
		stop()
		<-done
	}
}

// header adds the highest epoch that the caller has seen to an offer's own headers.
func (c *Caller) header(own http.Header) http.Header {
	h := own.Clone()
	if h == nil {
		h = http.Header{}
	}
	if epoch := c.ledger.epoch(); epoch > 0 {
		h.Set(wire.HeaderEpoch, strconv.FormatUint(epoch, 10))
	}
	return h
}

// place dials until a call is up, and says false when ctx ends first. why is nil for the first call.
func (c *Caller) place(ctx context.Context, why *need) (*placed, bool) {
	if why != nil {
		dropped := c.cfg.Clock.AfterFunc(c.cfg.Timeouts.Dropped, func() { c.happened(tally.DroppedNoMedia) })
		defer dropped.Stop()
		if c.cfg.RedialJitter > 0 && !c.pause(ctx, time.Duration(c.cfg.Random.Int64N(int64(c.cfg.RedialJitter)))) {
			return nil, false
		}
	}
	first := c.now()
	for attempt := 1; ; attempt++ {
		began := c.now()
		call, err := c.dial(ctx, c.header(why.header()))
		if err == nil {
			c.cfg.Recorder.Setup(tally.Setup{
				At: c.now(), Call: c.cfg.Call, Took: began - first + call.line.SetupTime(), Redial: why != nil,
				Pod: call.offered.Pod,
			})
			c.setCall(call)
			c.follow(ctx, call)
			return call, true
		}
		if ctx.Err() != nil {
			return nil, false
		}
		c.happened(tally.SetupFailure)
		c.cfg.Recorder.SideError(Code(err))
		c.cfg.Log.Debug("set-up failed", "call", c.cfg.Call, "attempt", attempt, "error", err)
		if !c.pause(ctx, Backoff(c.cfg.Random, attempt)) {
			return nil, false
		}
	}
}

// dial makes one attempt.
func (c *Caller) dial(ctx context.Context, extra http.Header) (*placed, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeouts.Setup)
	defer cancel()
	var offered Offered
	line, err := c.cfg.Phone.Dial(ctx, func(ctx context.Context, sdp string) (Offered, error) {
		var err error
		offered, err = c.edge.offer(ctx, sdp, extra)
		return offered, err
	})
	if err != nil {
		return nil, fmt.Errorf("place a call: %w", err)
	}
	return newPlaced(offered, line), nil
}

// release ends a call's stream and its media without a word to the pod, which may be gone.
func (c *Caller) release(call *placed) {
	call.endFollow()
	<-call.followed
	if err := call.line.Close(); err != nil {
		c.cfg.Log.Debug("close a call", "call", c.cfg.Call, "error", err)
	}
}

// hangupTime bounds the last request of a call.
const hangupTime = 2 * time.Second

// hangup ends a call as a caller does who is done. ctx has ended; its values live on.
func (c *Caller) hangup(ctx context.Context, call *placed) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), hangupTime)
	defer cancel()
	if err := c.edge.hangup(ctx, call.offered.Location); err != nil {
		c.cfg.Log.Debug("hang up", "call", c.cfg.Call, "error", err)
	}
	c.release(call)
}

// pause waits, and says false when ctx ends first.
func (c *Caller) pause(ctx context.Context, d time.Duration) bool {
	timer := c.cfg.Clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.Chan():
		return true
	}
}

func (c *Caller) setCall(p *placed) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.call = p
	if p != nil {
		c.latest = p
	}
}

// latestCall is the call that is up, or was last; nil before the first.
func (c *Caller) latestCall() *placed {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.latest
}

// current is the call that is up, or nil.
func (c *Caller) current() *placed {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.call
}

func (c *Caller) now() time.Duration { return c.cfg.Clock.Since(c.cfg.Epoch) }

func (c *Caller) happened(class tally.Class) {
	c.cfg.Recorder.Occurrence(tally.Occurrence{At: c.now(), Call: c.cfg.Call, Class: class})
}

// misrouted counts a request that reached a pod without the call, and has the caller redial unless it is to stay.
func (c *Caller) misrouted(call *placed) {
	c.happened(tally.Misroute)
	if c.cfg.OnMisroute == Redial {
		call.ask(need{why: "misroute"})
	}
}
