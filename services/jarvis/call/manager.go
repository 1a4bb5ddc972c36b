package call

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/webrtc/v4"

	"github.com/smaran-v2/smaran/services/jarvis/audio"
	"github.com/smaran-v2/smaran/services/jarvis/audio/pace"
	"github.com/smaran-v2/smaran/services/session"
)

// Manager holds a pod's calls, at most one a session. Its methods are safe for concurrent use.
type Manager struct {
	cfg    Config
	api    *webrtc.API
	certs  []webrtc.Certificate
	mux    ice.UDPMux
	wheel  *pace.Wheel
	sounds sounds

	mu    sync.Mutex
	slots map[session.ID]*slot
	held  int
	// remaining is set by Drain; draining is closed then.
	remaining func() time.Duration
	draining  chan struct{}
	// closing is closed by Close, closed when it is done.
	closing, closed chan struct{}
	// open counts offers being answered, and calls until their goroutines have ended.
	open sync.WaitGroup
}

// slot is a session's place among MaxCalls: its call, offers being answered, or both.
type slot struct {
	call     *agent
	offering int
}

// sounds are made once and shared by all calls.
type sounds struct {
	silence audio.Frame
	voice   audio.Pattern
}

// New starts a manager without calls. It fails if cfg is not valid, and then closes cfg.Media.
func New(cfg Config) (*Manager, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		if cfg.Media != nil {
			err = errors.Join(err, cfg.Media.Close())
		}
		return nil, err
	}
	mux, api, certs, err := newAPI(cfg)
	if err != nil {
		return nil, errors.Join(err, cfg.Media.Close())
	}
	return &Manager{
		cfg: cfg, api: api, certs: certs, mux: mux,
		wheel:    pace.NewWheel(pace.Options{Interval: audio.FrameDuration, Clock: cfg.Clock}),
		sounds:   sounds{silence: audio.Silence(), voice: audio.AgentVoice()},
		slots:    make(map[session.ID]*slot),
		draining: make(chan struct{}), closing: make(chan struct{}), closed: make(chan struct{}),
	}, nil
}

// Answered is the pod's answer to an offer.
type Answered struct {
	// SDP is the answer, with all of the pod's candidates.
	SDP string
	// ETag is a strong entity-tag (RFC 9110 section 8.8.3), quotes included, that names the call's ICE session.
	ETag string
}

// Offer places a call: it answers sdp, which need hold no candidates, and replaces the session's call if there is one (its
// watchers are told ReasonReplaced). A failed offer leaves that call alone. The call ends with ReasonExpired unless the
// peer connects within SetupTimeout. ctx bounds the answering only.
//
// Errors: ErrBadSDP, ErrFull, ErrClosed, or ctx's.
func (m *Manager) Offer(ctx context.Context, id session.ID, sdp string) (Answered, error) {
	return m.place(ctx, id, sdp, false)
}

func (m *Manager) place(ctx context.Context, id session.ID, sdp string, standby bool) (Answered, error) {
	if ctx.Err() != nil {
		return Answered{}, context.Cause(ctx)
	}
	if err := m.reserve(id); err != nil {
		return Answered{}, err
	}
	defer m.release(id)
	c, answered, err := m.answer(ctx, id, sdp, standby)
	if err != nil {
		return Answered{}, err
	}
	old, err := m.install(c)
	if err != nil {
		c.abandon()
		return Answered{}, err
	}
	if old != nil {
		old.end(ReasonReplaced)
	}
	c.begin()
	return answered, nil
}

// reserve takes a slot for an offer, or shares the session's own.
func (m *Manager) reserve(id session.ID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.isClosing() {
		return ErrClosed
	}
	s := m.slots[id]
	if s == nil {
		if len(m.slots) >= m.cfg.MaxCalls {
			return fmt.Errorf("%w: %d of %d", ErrFull, len(m.slots), m.cfg.MaxCalls)
		}
		s = new(slot)
		m.slots[id] = s
	}
	s.offering++
	m.open.Add(1)
	return nil
}

// release ends an offer, answered or not.
func (m *Manager) release(id session.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.slots[id]
	s.offering--
	m.forgetIfEmpty(id, s)
	m.open.Done()
}

// install makes c the session's call and returns the one it replaces. A call that has ended already is not installed.
func (m *Manager) install(c *agent) (old *agent, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.isClosing() {
		return nil, ErrClosed
	}
	if c.dropped {
		return nil, nil
	}
	s := m.slots[c.id]
	old, s.call = s.call, c
	if old == nil {
		m.held++
	}
	return old, nil
}

// drop forgets a call that ended, unless another has replaced it.
func (m *Manager) drop(c *agent) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c.dropped = true
	if s := m.slots[c.id]; s != nil && s.call == c {
		s.call = nil
		m.held--
		m.forgetIfEmpty(c.id, s)
	}
}

func (m *Manager) forgetIfEmpty(id session.ID, s *slot) {
	if s.call == nil && s.offering == 0 {
		delete(m.slots, id)
	}
}

func (m *Manager) isClosing() bool {
	select {
	case <-m.closing:
		return true
	default:
		return false
	}
}

func (m *Manager) find(id session.ID) (*agent, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.slots[id]; s != nil && s.call != nil {
		return s.call, nil
	}
	return nil, ErrNotHeld
}

// Trickle adds the candidates of an SDP fragment (RFC 8840) to a session's call. ifMatch is an If-Match header's value;
// empty, it is not checked. Nothing is added unless the whole fragment is acceptable.
//
// Errors: ErrNotHeld, ErrETagMismatch, ErrBadFragment.
func (m *Manager) Trickle(_ context.Context, id session.ID, fragment, ifMatch string) error {
	c, err := m.find(id)
	if err != nil {
		return err
	}
	if !etagMatches(ifMatch, c.etag) {
		return fmt.Errorf("%w: expected %s, got %s", ErrETagMismatch, c.etag, ifMatch)
	}
	return c.trickle(fragment)
}

// Hangup ends a session's call, or returns ErrNotHeld.
func (m *Manager) Hangup(id session.ID) error {
	c, err := m.find(id)
	if err != nil {
		return err
	}
	c.end(ReasonHangup)
	return nil
}

// Check refuses an offer that Offer would refuse for what it says. It fails with ErrBadSDP.
func (m *Manager) Check(sdp string) error {
	_, err := readOffer(sdp)
	return err
}

// Mute silences the agent on a session's call, mid-word if need be, or lets it speak again. Silence is still sent as media,
// and transcripts still go out. It returns ErrNotHeld without a call.
func (m *Manager) Mute(id session.ID, muted bool) error {
	c, err := m.find(id)
	if err != nil {
		return err
	}
	c.voice.mute(muted)
	return nil
}

// Say has the agent speak text on a session's call and send it as a transcript of that turn. spoken is false while the
// agent is muted or the peer not yet connected: then nothing will be heard of it. It returns ErrNotHeld without a call.
func (m *Manager) Say(id session.ID, text string, turn uint64) (spoken bool, err error) {
	c, err := m.find(id)
	if err != nil {
		return false, err
	}
	return c.say(Answer{Text: text, Turn: turn}), nil
}

// Holds reports whether the session has a call here, connected or not yet.
func (m *Manager) Holds(id session.ID) bool {
	_, err := m.find(id)
	return err == nil
}

// Count is the number of sessions that have a call here.
func (m *Manager) Count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.held
}

// Sessions lists the sessions that have a call here, sorted.
func (m *Manager) Sessions() []session.ID {
	m.mu.Lock()
	defer m.mu.Unlock()
	ids := make([]session.ID, 0, m.held)
	for id, s := range m.slots {
		if s.call != nil {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// Drain tells all watchers, present and future, that the pod is going away; remaining says how long calls may still last. It
// ends no call and refuses none: who may still call is the pod's decision. Only the first Drain counts.
func (m *Manager) Drain(remaining func() time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.remaining == nil {
		m.remaining = remaining
		close(m.draining)
	}
}

// Close ends all calls and returns when their goroutines have ended and the socket is closed, or ctx has ended. Watches
// return ErrClosed without an Ended event, so that callers take it for what it is: the pod is lost.
func (m *Manager) Close(ctx context.Context) error {
	m.mu.Lock()
	first := !m.isClosing()
	var calls []*agent
	if first {
		close(m.closing)
		for _, s := range m.slots {
			if s.call != nil {
				calls = append(calls, s.call)
			}
		}
	}
	m.mu.Unlock()
	if first {
		for _, c := range calls {
			c.end(ReasonClosed)
		}
		go m.shutDown()
	}
	select {
	case <-m.closed:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close calls: %w", context.Cause(ctx))
	}
}

// shutDown takes down what the calls shared, once the last is gone.
func (m *Manager) shutDown() {
	defer close(m.closed)
	m.open.Wait()
	m.wheel.Close()
	if err := m.mux.Close(); err != nil {
		m.cfg.Log.Warn("media socket did not close", "error", err)
	}
}
