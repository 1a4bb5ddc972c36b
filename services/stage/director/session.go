package director

import (
	"time"

	"google.golang.org/protobuf/proto"

	smaranv1 "github.com/smaran-v2/smaran/proto/smaran/v1"
	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
)

const (
	// silentAfter is how long a call that is up may have brought nothing of its agent: callers tell of each second of media.
	silentAfter = 1500 * time.Millisecond
	// strangeAfter is how long a crowd may take to tell of a session that pods have already: after that it is no caller's.
	strangeAfter = 2 * time.Second
	// leftAfter is how long a session that no crowd tells of is shown without a call or a new turn, whichever pods list it.
	leftAfter = 10 * time.Second
	// idleAfter is how long a caller without a call may ask nothing, at least, and still be one.
	idleAfter = 5 * time.Second
	// idleTimes is the same in mean times between its requests.
	idleTimes = 5
	// maxSessions of one lane; further ones are not shown.
	maxSessions = 20_000
)

// session is what is known of one.
type session struct {
	// crowd tells of it; seen is when anybody first did, and active when it last did something.
	crowd        bool
	seen, active time.Duration
	answer       answer
	held         held
	// turn is the highest that any pod has told of: several may have it, each with its own.
	turn uint64
	// callUp by the crowd's account, heard when its agent last was, and dropped whether the call counts as dropped already.
	callUp  bool
	heard   time.Duration
	dropped bool
	state   string
	lost    string
	losses  uint32

	position float64
	placed   bool // on a ring
	shown    face // as the scene has it, if it has it
	visible  bool
}

// answer is the last one.
type answer struct {
	pod string
	at  time.Duration
}

// held is by the pods' own account, when they were last asked.
type held struct {
	pod         string
	turn, epoch uint64
	call        bool
	asked       time.Duration
}

// face is what the scene shows of a session.
type face struct {
	pod            string
	callUp, silent bool
	turn, epoch    uint32
	state, lost    string
	losses         uint32
	position       float64
	placed         bool
	browser        bool
}

func (f face) message(lane, id string) *stagev1.Session {
	out := &stagev1.Session{
		Lane: lane, Id: id, Pod: f.pod, CallUp: f.callUp, Silent: f.silent, Turn: f.turn, Epoch: f.epoch, State: f.state, Lost: f.lost,
		Losses: f.losses, Browser: f.browser,
	}
	if f.placed {
		out.Position = proto.Float64(f.position)
	}
	return out
}

// face at a time.
func (s *session) face(ps pods, now time.Duration) face {
	f := face{
		pod: s.owner(ps), callUp: s.callUp, turn: uint32(s.held.turn), epoch: uint32(s.held.epoch), state: s.state, lost: s.lost,
		losses: s.losses, position: s.position, placed: s.placed, browser: !s.crowd,
	}
	if s.crowd {
		f.silent = s.callUp && now-s.heard > silentAfter
	} else {
		f.callUp = s.held.call
	}
	return f
}

// owner is the pod that owns it by the pods' own account, or else the one that answered last; empty: none.
func (s *session) owner(ps pods) string {
	answered := s.answer.pod != "" && ps.had(s.answer.pod, s.answer.at)
	if s.held.pod != "" && ps.had(s.held.pod, s.held.asked) {
		if answered && s.answer.at > s.held.asked && s.held.epoch == 0 {
			return s.answer.pod // without epochs a pod that answers owns it
		}
		return s.held.pod
	}
	if !answered {
		return ""
	}
	if p := ps[s.answer.pod]; p.own != nil && p.asked > s.answer.at {
		return "" // it was asked since, and has it no more
	}
	return s.answer.pod
}

// claims chooses among the pods that have a session.
func (s *session) claims(h held) {
	switch best := s.held; {
	case best.asked < h.asked, h.epoch > best.epoch:
	case h.epoch < best.epoch, best.pod == s.answer.pod:
		return
	case h.pod == s.answer.pod, h.call && !best.call, h.call == best.call && h.turn > best.turn:
	default:
		return
	}
	s.held = h
}

// called says that pods know of a call or a turn of a session. A caller's is active by its crowd's account alone.
func (s *session) called(now time.Duration) {
	if !s.crowd {
		s.active = now
	}
}

// sessionsBySmaran takes the pods' own account of all sessions.
func (l *lane) sessionsBySmaran(r *smaranv1.GetFleetResponse, asked, now time.Duration) {
	answered := map[string]bool{}
	for _, p := range r.GetPods() {
		answered[p.GetPod()] = true
		for _, own := range p.GetSessionList() {
			if callers, spent := l.spent[own.GetSession()]; spent && !callers && own.GetCallHeld() {
				delete(l.spent, own.GetSession())
			}
			s := l.session(own.GetSession(), now, false)
			if s == nil {
				continue
			}
			h := held{pod: p.GetPod(), turn: own.GetTurn(), epoch: own.GetEpoch(), call: own.GetCallHeld(), asked: asked}
			if h.call {
				s.called(now)
			}
			if own.GetOwner() != "" && own.GetOwner() != p.GetPod() {
				continue // a copy
			}
			if h.turn > s.turn {
				s.turn = h.turn
				s.called(now)
			}
			s.claims(h)
		}
	}
	for _, s := range l.sessions {
		if s.held.asked < asked && answered[s.held.pod] {
			s.held.pod, s.held.call, s.held.asked = "", false, asked // its pod has it no more; one that is frozen may well
		}
	}
}

// session of an id, which is made if it is new; nil where it is none that is shown. told says that the crowd tells of it.
func (l *lane) session(id string, now time.Duration, told bool) *session {
	s := l.sessions[id]
	if _, spent := l.spent[id]; s == nil && (!spent || told) {
		if len(l.sessions) >= maxSessions {
			return nil
		}
		s = &session{seen: now, active: now}
		s.position, s.placed = l.hash.position(id)
		l.sessions[id] = s
	}
	if s != nil && told {
		delete(l.spent, id)
		s.crowd, s.active = true, now
	}
	return s
}

// over is whether there is nothing to show of a session any more.
func (l *lane) over(s *session, now time.Duration) bool {
	if !s.crowd {
		return now-s.active > leftAfter
	}
	idle := idleAfter
	if l.load.rate > 0 {
		idle = max(idle, time.Duration(float64(l.load.calls)/l.load.rate*idleTimes*float64(time.Second)))
	}
	return !s.callUp && now-s.active > idle
}

// showable is false while it may still turn out to be a caller's.
func (l *lane) showable(s *session, now time.Duration) bool {
	return s.crowd || !l.attached || now-s.seen > strangeAfter
}

// fillSessions puts those that look otherwise than before into a frame, and counts how many each pod owns.
func (l *lane) fillSessions(f *stagev1.Frame, now time.Duration) (owned map[string]uint32) {
	owned = map[string]uint32{}
	for id, s := range l.sessions {
		if l.over(s, now) {
			l.removeSession(f, id)
			continue
		}
		if !l.showable(s, now) {
			continue
		}
		looks := s.face(l.pods, now)
		if looks.pod != "" {
			owned[looks.pod]++
		}
		if !s.visible || looks != s.shown {
			s.visible, s.shown = true, looks
			f.Sessions = append(f.Sessions, looks.message(l.info.ID, id))
		}
	}
	return owned
}

// removeSession takes a session away; what pods still have of it is no other session.
func (l *lane) removeSession(f *stagev1.Frame, id string) {
	s := l.sessions[id]
	delete(l.sessions, id)
	l.moves.Forget(id)
	if len(l.spent) >= maxSessions {
		clear(l.spent)
	}
	l.spent[id] = s.crowd
	if s.visible {
		f.Gone = append(f.Gone, &stagev1.Gone{Lane: l.info.ID, Thing: &stagev1.Gone_Session{Session: id}})
	}
}
