package call

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/pion/webrtc/v4"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/wire"
)

// agent is one call. It lives from its answer until end; m.open counts it until its goroutines have ended.
type agent struct {
	id     session.ID
	etag   string
	m      *Manager
	pc     *webrtc.PeerConnection
	log    *slog.Logger
	voice  *voice
	scribe scribe
	// remote is what the offer said of the peer's ICE.
	remote remoteICE

	// ctx ends with the call.
	ctx    context.Context
	cancel context.CancelFunc
	// done is closed when the call ends; reason is set before.
	done   chan struct{}
	reason string
	once   sync.Once
	// gone is closed when the peer connection has failed or closed.
	gone     chan struct{}
	goneOnce sync.Once

	// dropped is guarded by m.mu: the call has ended, and must not become the session's.
	dropped bool

	// standby: the agent says nothing before the session is here. awaiting is the same until the caller's first media.
	standby, awaiting atomic.Bool
	// migrate holds the latest event for watchers; migrates is closed and renewed with it. Both are guarded by mu.
	migrate  *jarvisv1.Migrate
	migrates chan struct{}

	connected atomic.Bool
	replying  atomic.Bool

	mu       sync.Mutex
	ended    bool
	deadline clockwork.Timer
	unpace   func()
	// work counts the goroutines of the call that are ours.
	work sync.WaitGroup
}

// begin starts the time a peer has to connect. A call that was ended meanwhile stays ended.
func (c *agent) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended && (!c.connected.Load() || c.standby.Load()) {
		c.deadline = c.m.cfg.Clock.AfterFunc(c.m.cfg.SetupTimeout, func() { c.end(ReasonExpired) })
	}
}

// enter counts a goroutine in, unless the call has ended; leave it with c.work.Done.
func (c *agent) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return false
	}
	c.work.Add(1)
	return true
}

// onState follows pion's connection state. It is called from pion's goroutines and must not wait for them.
func (c *agent) onState(s webrtc.PeerConnectionState) {
	switch s {
	case webrtc.PeerConnectionStateConnected:
		c.onConnected()
	case webrtc.PeerConnectionStateFailed:
		c.goneOnce.Do(func() { close(c.gone) })
		if c.connected.Load() {
			c.end(ReasonPeerClosed)
		} else {
			c.end(ReasonExpired)
		}
	case webrtc.PeerConnectionStateClosed:
		c.goneOnce.Do(func() { close(c.gone) })
		c.end(ReasonPeerClosed)
	}
}

// onConnected begins to send, unless the call is on standby.
func (c *agent) onConnected() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || c.connected.Swap(true) {
		return
	}
	if c.standby.Load() {
		if c.remote.silent { // there is no media to wait for
			go c.heard()
		}
		return // with its deadline, until the session is here
	}
	if c.deadline != nil {
		c.deadline.Stop()
	}
	c.sound()
}

// sound begins to send: from here on a frame goes out every 20 ms until the call ends. The caller holds c.mu.
func (c *agent) sound() {
	c.voice.Tick(0) // at once: set-up ends for the caller with the first packet, and the wheel may take 20 ms
	c.unpace = c.m.wheel.Add(c.voice)
}

func (c *agent) onDataChannel(d *webrtc.DataChannel) {
	if d.Label() != wire.TranscriptChannel {
		return
	}
	d.OnOpen(func() {
		if err := c.scribe.open(d); err != nil {
			c.log.Debug("transcript channel refused", "error", err)
		}
	})
}

// say speaks an answer and sends its transcript, and reports whether it will be heard.
func (c *agent) say(a Answer) (spoken bool) {
	spoken = c.connected.Load() && c.voice.speak(a.Text)
	if err := c.scribe.send(a); err != nil {
		c.log.Debug("transcript not sent", "error", err)
	}
	return spoken
}

// end ends the call for the first reason given and takes it down, without waiting for that.
func (c *agent) end(reason string) {
	c.once.Do(func() {
		c.mu.Lock()
		c.ended = true
		deadline, unpace := c.deadline, c.unpace
		c.mu.Unlock()
		if deadline != nil {
			deadline.Stop()
		}
		if unpace != nil {
			unpace()
		}
		c.m.drop(c)
		c.reason = reason
		close(c.done)
		c.cancel()
		go c.takeDown()
	})
}

// abandon takes down a call that was never installed, and waits for that.
func (c *agent) abandon() {
	c.once.Do(func() {
		c.mu.Lock()
		c.ended = true
		unpace := c.unpace
		c.mu.Unlock()
		if unpace != nil {
			unpace()
		}
		c.cancel()
		defer c.m.open.Done()
		_ = c.pc.GracefulClose() // whoever abandons a call has an error that says more
		c.work.Wait()
	})
}

// takeDown waits for pion's goroutines, so it must not run on one of them.
func (c *agent) takeDown() {
	defer c.m.open.Done()
	if c.reason == ReasonMoved {
		c.tellEnd() // what waits for it need not wait for the rest
		c.linger()
	}
	if err := c.pc.GracefulClose(); err != nil {
		c.log.Debug("peer connection did not close cleanly", "error", err)
	}
	c.work.Wait()
	if c.reason != ReasonMoved {
		c.tellEnd()
	}
}

func (c *agent) tellEnd() {
	if c.m.cfg.OnEnd != nil {
		c.m.cfg.OnEnd(c.id, c.reason)
	}
}

// trickle adds a fragment's candidates, all or none.
func (c *agent) trickle(body string) error {
	f, err := ParseFragment(body)
	if err != nil {
		return err
	}
	if err := c.remote.check(f); err != nil {
		return err
	}
	for _, section := range f.Media {
		for _, raw := range section.Candidates {
			if err := c.pc.AddICECandidate(webrtc.ICECandidateInit{Candidate: raw, SDPMid: &section.MID}); err != nil {
				if errors.Is(err, webrtc.ErrConnectionClosed) || c.hasEnded() {
					return ErrNotHeld
				}
				return fmt.Errorf("%w: %.120q: %w", ErrBadFragment, raw, err)
			}
		}
	}
	return nil
}

func (c *agent) hasEnded() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// reply answers an utterance, in a goroutine of its own. While one is being answered, later ones are not: the caller talks
// over the agent's thinking, as people do.
func (c *agent) reply(heard time.Duration) {
	if c.replying.Swap(true) {
		return
	}
	if !c.enter() {
		return
	}
	go func() {
		defer c.work.Done()
		defer c.replying.Store(false)
		a, err := c.m.cfg.Respond(c.ctx, c.id, fmt.Sprintf("heard %d ms of speech", heard.Milliseconds()))
		if err != nil {
			if c.ctx.Err() == nil {
				c.log.Warn("no answer to what was heard", "error", err)
			}
			return
		}
		c.say(a)
	}()
}
