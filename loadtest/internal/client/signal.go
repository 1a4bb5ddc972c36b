package client

import (
	"context"
	"net/url"
	"sync"
	"time"

	"github.com/smaran-v2/smaran/loadtest/internal/tally"
	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/services/wire"
)

// Trickle sends a late candidate to the call, if one is up.
func (c *Caller) Trickle(ctx context.Context) {
	c.signal(ctx, func(ctx context.Context, call *placed) error {
		return c.edge.trickle(ctx, resource(call.offered.Location), call.offered.ETag, call.line.LateCandidate())
	})
}

// Control has the agent say something on the call, if one is up.
func (c *Caller) Control(ctx context.Context) {
	say := &jarvisv1.ControlRequest{Message: &jarvisv1.ControlRequest_Say{Say: &jarvisv1.Say{Text: "still here"}}}
	c.signal(ctx, func(ctx context.Context, _ *placed) error {
		return c.edge.control(ctx, wire.PathCallControl(string(c.cfg.Session)), say)
	})
}

// signal does something to the call that is up. A reply that the call is elsewhere is a misroute; one that comes after the call
// was given up says nothing any more.
func (c *Caller) signal(ctx context.Context, do func(context.Context, *placed) error) {
	call := c.current()
	if call == nil {
		return
	}
	timed, cancel := context.WithTimeout(ctx, c.cfg.Timeouts.Request)
	defer cancel()
	err := do(timed, call)
	switch {
	case err == nil, ctx.Err() != nil, call != c.current():
	case ownerMoved(err):
		c.misrouted(call)
	default:
		c.cfg.Recorder.SideError(Code(err))
	}
}

// follow keeps the event stream of a call open until the call ends.
func (c *Caller) follow(ctx context.Context, call *placed) {
	ctx, call.endFollow = context.WithCancel(ctx)
	go func() {
		defer close(call.followed)
		c.stream(ctx, call)
	}()
}

// stream reads the events, and opens the stream again when it ends without a word.
func (c *Caller) stream(ctx context.Context, call *placed) {
	path := wire.PathCallEvents(string(c.cfg.Session))
	count := func() {}
	defer func() { count() }()
	for attempt := 1; ; attempt++ {
		events, err := c.edge.events(ctx, path)
		if err == nil {
			attempt = 1
			over := c.read(events, call)
			if over || ctx.Err() != nil {
				return
			}
			count()
			count = c.reconnect(call)
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			if ownerMoved(err) {
				c.misrouted(call)
				if c.cfg.OnMisroute == Redial {
					return
				}
			} else {
				c.cfg.Recorder.SideError(Code(err))
			}
		}
		if !c.pause(ctx, Backoff(c.cfg.Random, attempt)) {
			return
		}
	}
}

// mediaGrace is how long after the end of a stream the media's own loss may be noticed: several times the usual watchdog. A pod
// that dies takes both, and that is no reconnect.
const mediaGrace = 500 * time.Millisecond

// reconnect counts that the stream ended now, unless the media turns out to be lost as well. It does so once the grace is over, or
// when it is called; later calls do nothing.
func (c *Caller) reconnect(call *placed) (count func()) {
	at := c.now()
	once := sync.OnceFunc(func() {
		if !call.lost() {
			c.cfg.Recorder.Occurrence(tally.Occurrence{At: at, Call: c.cfg.Call, Class: tally.SignalReconnect})
		}
	})
	timer := c.cfg.Clock.AfterFunc(mediaGrace, once)
	return func() {
		timer.Stop()
		once()
	}
}

// resource is the path of a Location, which may be absolute.
func resource(location string) string {
	if u, err := url.Parse(location); err == nil {
		return u.EscapedPath()
	}
	return location
}
