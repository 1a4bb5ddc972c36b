package peer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	agent "github.com/smaran-v2/smaran/services/jarvis/call"
	"github.com/smaran-v2/smaran/services/wire"
)

// Transcript is what the agent said.
type Transcript = agent.Transcript

// DefaultWatchdog is Options.Watchdog where it is 0.
const DefaultWatchdog = 100 * time.Millisecond

// Options of one call.
type Options struct {
	// Meter is fed with every packet; required.
	Meter *Meter
	// OnTranscript, where set, is called for each transcript, from a goroutine of the call.
	OnTranscript func(Transcript)
	// OnAudio, where set, is given the PCMU of each packet, from a goroutine of the call; it must not keep it.
	OnAudio func(pcmu []byte)
	// Watchdog is after how long without RTP a call is lost; 0 means DefaultWatchdog, below 0 never. It is checked every
	// 20 ms. Time in which this process itself stalled does not count.
	Watchdog time.Duration
	Speech   Speech
}

// Call is a connected call. Its methods are safe for concurrent use.
type Call struct {
	api    *API
	opts   Options
	pc     *webrtc.PeerConnection
	answer Answer
	setup  time.Duration
	mic    *speaker
	stream *Stream

	start time.Time

	first, lost chan struct{}
	lostOnce    sync.Once
	cause       error
	// last is when the last packet came, in nanoseconds since start; 0 before the first.
	last atomic.Int64
	// amnesty is until when the watchdog gives no verdict, since start; the wheel's goroutine's.
	amnesty time.Duration

	mu     sync.Mutex
	closed bool
	unpace func()
	// work counts the goroutines of the call that are ours.
	work sync.WaitGroup
}

// Dial places a call and returns once the first RTP packet has come, which is when set-up ends. It fails with ErrSetup if
// the signaler does, the agent's answer is unusable, or ctx ends first; then nothing of the call remains. Close the call.
func Dial(ctx context.Context, api *API, sig Signaler, opts Options) (*Call, error) {
	if opts.Watchdog == 0 {
		opts.Watchdog = DefaultWatchdog
	}
	start := api.clock.Now() // before anything is built: that is part of set-up
	pc, err := api.webrtc.NewPeerConnection(webrtc.Configuration{Certificates: api.certs})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSetup, err)
	}
	c := &Call{api: api, opts: opts, pc: pc, mic: newSpeaker(opts.Speech, api.sounds), stream: opts.Meter.Stream(), start: start,
		first: make(chan struct{}), lost: make(chan struct{})}
	if err := c.connect(ctx, sig); err != nil {
		c.Close()
		return nil, fmt.Errorf("%w: %w", ErrSetup, err)
	}
	c.setup = api.clock.Since(start)
	return c, nil
}

func (c *Call) connect(ctx context.Context, sig Signaler) error {
	c.pc.OnConnectionStateChange(c.onState)
	c.pc.OnTrack(c.onTrack)
	if _, err := c.pc.AddTrack(c.mic.track); err != nil {
		return err
	}
	channel, err := c.pc.CreateDataChannel(wire.TranscriptChannel, nil)
	if err != nil {
		return err
	}
	channel.OnOpen(func() { c.onChannel(channel) })
	offer, err := c.pc.CreateOffer(nil)
	if err != nil {
		return err
	}
	gathered := webrtc.GatheringCompletePromise(c.pc)
	if err := c.pc.SetLocalDescription(offer); err != nil {
		return err
	}
	c.answer, err = sig.Offer(ctx, offer.SDP)
	if err != nil {
		return err
	}
	if err := c.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: c.answer.SDP}); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	for _, event := range []<-chan struct{}{gathered, c.first} {
		select {
		case <-event:
		case <-c.lost:
			return c.cause
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// SetupTime is the time from Dial to the first RTP packet.
func (c *Call) SetupTime() time.Duration { return c.setup }

// Answer is what the signaler brought.
func (c *Call) Answer() Answer { return c.answer }

// Lost is closed once the call is no use any more: its media stopped for the watchdog's time, or the agent's end closed. It
// is not closed by Close.
func (c *Call) Lost() <-chan struct{} { return c.lost }

// Err is why the call was lost, ErrNoMedia or ErrPeerClosed; nil while it is not.
func (c *Call) Err() error {
	select {
	case <-c.lost:
		return c.cause
	default:
		return nil
	}
}

func (c *Call) lose(cause error) {
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if closed {
		return
	}
	c.lostOnce.Do(func() {
		c.cause = cause
		close(c.lost)
	})
}

// Close hangs up, tells the agent by DTLS, and returns once the call's goroutines have ended. It may be called again.
func (c *Call) Close() {
	c.mu.Lock()
	c.closed = true
	unpace := c.unpace
	c.unpace = nil
	c.mu.Unlock()
	if unpace != nil {
		unpace()
	}
	_ = c.pc.GracefulClose() // there is nobody to tell, and nothing else to do
	c.work.Wait()
}

// enter counts a goroutine in, unless the call is closed; leave with c.work.Done.
func (c *Call) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.work.Add(1)
	return true
}

func (c *Call) onState(s webrtc.PeerConnectionState) {
	switch s {
	case webrtc.PeerConnectionStateConnected:
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.closed && c.unpace == nil {
			c.unpace = c.api.wheel.Add(c)
		}
	case webrtc.PeerConnectionStateFailed, webrtc.PeerConnectionStateClosed:
		c.lose(ErrPeerClosed)
	}
}

// Tick sends the next 20 ms and looks whether the agent still does (pace.Member).
func (c *Call) Tick(late time.Duration) {
	_ = c.mic.send() // a call that cannot send has lost its agent, which the watchdog sees
	if c.opts.Watchdog < 0 {
		return
	}
	now := c.api.clock.Since(c.start)
	if late > c.opts.Watchdog/2 { // this process was not running: what arrived meanwhile may not have been read yet
		c.amnesty = now + c.opts.Watchdog
	}
	last := time.Duration(c.last.Load())
	if last > 0 && now-last > c.opts.Watchdog && now > c.amnesty {
		c.lose(ErrNoMedia)
	}
}

// onTrack measures the agent's voice until the track ends.
func (c *Call) onTrack(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
	if !c.enter() {
		return
	}
	defer c.work.Done()
	buf := make([]byte, 1500) // above pion's receive MTU
	var header rtp.Header
	for first := true; ; first = false {
		n, _, err := track.Read(buf)
		if err != nil {
			return
		}
		payload, err := header.Unmarshal(buf[:n])
		if err != nil {
			continue
		}
		c.last.Store(max(1, int64(c.api.clock.Since(c.start))))
		c.stream.Received(header.SequenceNumber, header.Timestamp)
		if c.opts.OnAudio != nil {
			c.opts.OnAudio(buf[payload:n])
		}
		if first {
			close(c.first)
		}
	}
}

// onChannel reads transcripts until the channel closes.
func (c *Call) onChannel(d *webrtc.DataChannel) {
	raw, err := d.Detach()
	if err != nil || !c.enter() {
		return
	}
	go func() {
		defer c.work.Done()
		buf := make([]byte, 8<<10)
		for {
			n, err := raw.Read(buf)
			if errors.Is(err, io.ErrShortBuffer) && len(buf) < 64<<10 {
				buf = make([]byte, 2*len(buf))
				continue
			}
			if err != nil {
				return
			}
			var t Transcript
			if json.Unmarshal(buf[:n], &t) == nil && t.Type == agent.TypeTranscript && c.opts.OnTranscript != nil {
				c.opts.OnTranscript(t)
			}
		}
	}()
}
