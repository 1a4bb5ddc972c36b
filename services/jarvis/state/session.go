package state

import (
	"container/list"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/services/jarvis/model"
	"github.com/smaran-v2/smaran/services/session"
)

// Session is one session at this pod. Its methods are safe for concurrent use, and may be called only while it is held
// (see Store.Hold).
type Session struct {
	id    session.ID
	store *Store

	// Guarded by store.mu. A session is in the store's idle list exactly when it has no holders and no pin, and is not
	// being given away.
	holders int
	pinned  bool
	idle    *list.Element
	since   time.Time
	title   Title
	// passedOver: the conversation is one that this pod went on with while another pod had a higher title.
	passedOver bool
	// giving is not nil while the session is being given away.
	giving *Giving

	mu     sync.Mutex
	stream *model.Stream
	// current is replaced as a whole when it turns out to be stale.
	current conversation
}

// conversation is one copy of a session's state.
type conversation struct {
	// copies counts those that came from other pods.
	copies int
	// begun is whether its load has been started; ready is when that is over.
	begun bool
	ready time.Time
	// owed: it came as a copy, and nobody has waited for its load yet. Who does finds it cold.
	owed    bool
	at      Point
	history history
	// results maps prompts to texts.
	results *simplelru.LRU[string, string]
}

// Request is one request for an answer.
type Request struct {
	// Prompt, where it is empty, is never answered from the results.
	Prompt string
	// Last is where the caller says the conversation stands; zero accepts whatever the pod has.
	Last Point
	// Fresh computes an answer also to a prompt that was answered before, and keeps it out of the results.
	Fresh bool
}

// Inference is an answer in the making: wait, then Finish.
type Inference struct {
	// State is what the request found. Of the requests that share a load the one that began it is cold, the others are
	// warm: so there are as many cold ones as loads, and the time of the others still shows their wait.
	State jarvisv1.CacheState
	// Wait is how long to wait before Finish: what is left of the load, and the computing. Zero for a cached answer.
	Wait time.Duration
	Text string

	session *Session
	prompt  string
	keep    bool
	copies  int
}

// Answered is where an answer left the conversation.
type Answered struct {
	Point
	// Previous is where it stood before; its turn is one lower.
	Previous Point
	// Epoch is what FinishOwned gave it under.
	Epoch uint64
}

// Begin decides what the request finds. It starts a load if the session has none behind it, or if the caller stands where
// this copy never was.
//
// While a load is under way it starts no other: callers that come over from the same lost copy may stand at different
// points of it, and all of them are remembered.
func (s *Session) Begin(r Request) Inference {
	now := s.store.clock.Now()
	s.mu.Lock()
	defer s.mu.Unlock()

	stale := s.current.begun && r.Last != Point{} && !s.current.history.contains(r.Last)
	if stale && s.store.handed {
		s.store.dropped(s.id, DroppedTurns)
		s.current.remember(r.Last)
		stale = false
	}
	loading := s.current.begun && now.Before(s.current.ready)
	repeatable := r.Prompt != "" && !r.Fresh
	begin := Inference{State: jarvisv1.CacheState_CACHE_STATE_WARM, session: s, prompt: r.Prompt, keep: repeatable,
		copies: s.current.copies}
	switch {
	case !s.current.begun, stale && !loading:
		switch {
		case stale:
			s.store.dropped(s.id, DroppedStale)
		case s.store.handed && r.Last != Point{}: // now: the answer that would show it may never come
			s.store.dropped(s.id, DroppedTurns)
		}
		s.current = conversation{begun: true, ready: now.Add(s.stream.Load()), results: s.store.newResults()}
		s.current.remember(r.Last)
		begin.State = jarvisv1.CacheState_CACHE_STATE_COLD
	case stale:
		s.current.remember(r.Last)
	case repeatable && !loading:
		if text, ok := s.current.results.Get(r.Prompt); ok {
			begin.State, begin.Text = jarvisv1.CacheState_CACHE_STATE_CACHED, text
			return begin
		}
	}
	if loading && s.current.owed {
		begin.State = jarvisv1.CacheState_CACHE_STATE_COLD
	}
	s.current.owed = false
	begin.Wait = max(0, s.current.ready.Sub(now)) + s.stream.Inference()
	begin.Text = s.stream.Answer(r.Prompt)
	return begin
}

func (c *conversation) remember(p Point) {
	if p != (Point{}) {
		c.history.add(p)
	}
}

// Finish adds the answer to the conversation. An inference that is not finished leaves no trace in it.
//
// If the copy was replaced since Begin, the answer belongs to the new one: a session has one conversation at a pod.
func (i Inference) Finish() Answered {
	s := i.session
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &s.current
	previous := c.at
	turn := previous.Turn + 1
	c.at = Point{Turn: turn, Checksum: previous.Checksum.Next(turn, i.prompt)}
	c.history.add(c.at)
	if i.keep {
		c.results.Add(i.prompt, i.Text)
	}
	return Answered{Point: c.at, Previous: previous}
}

// FinishOwned is Finish for who has to own the session: an answer of a pod that was passed over meanwhile belongs to no conversation.
//
// So does one that was begun on a copy which another has replaced: nobody has looked whether its caller stands on that.
//
// It fails with a *MovedError or ErrReplaced.
func (i Inference) FinishOwned() (Answered, error) {
	store := i.session.store
	store.mu.Lock()
	defer store.mu.Unlock()
	if i.session.title.Owner != "" {
		return Answered{}, &MovedError{i.session.title}
	}
	if i.session.copies() != i.copies {
		return Answered{}, ErrReplaced
	}
	answered := i.Finish()
	answered.Epoch = i.session.title.Epoch
	return answered, nil
}

// copies and knows need no store.mu.
func (s *Session) copies() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current.copies
}

func (s *Session) knows(at Point) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current.history.contains(at)
}

// blank reports whether the session holds nothing. It is called with store.mu held; s.mu comes after it.
func (s *Session) blank() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.current.begun && s.title.Epoch == 0
}

// bare is whether there is no conversation, not even one being loaded.
func (s *Session) bare() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.current.begun
}

// describe adds the conversation to what the store knows.
func (s *Session) describe(k *Kept) {
	now := s.store.clock.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	k.At, k.Begun, k.Loading = s.current.at, s.current.begun, max(0, s.current.ready.Sub(now))
}

// at is where the conversation stands.
func (s *Session) at() Point {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current.at
}
