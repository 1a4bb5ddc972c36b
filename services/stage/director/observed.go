package director

import (
	"cmp"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	sessions "github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/stage/director/meter"
	"github.com/smaran-v2/smaran/services/wire"
)

// What an inference found, as crowds say it.
const (
	stateCold   = "cold"
	stateWarm   = "warm"
	stateCached = "cached"
	stateFailed = "failed"
)

// losses are the classes that a session is shown to have suffered. A planned move is none.
var losses = map[string]bool{
	wire.CountDroppedNoMedia: true, wire.CountDroppedStateLost: true, wire.CountStateLost: true, wire.CountMediaInterruptions: true,
	wire.CountRenegotiations: true, wire.CountMisroutes: true, wire.CountSetupFailures: true, wire.CountSignalReconnects: true,
}

// maxAgo bounds how old an observation may be.
const maxAgo = time.Minute

// crowdCame says whether the lane has a crowd. Without one, no caller's call is up as far as is known.
func (l *lane) crowdCame(attached bool, now time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.attached = attached
	l.meter.Advance(now, attached)
	for _, s := range l.sessions {
		s.callUp = false
	}
	l.meter.CallsUp(0)
}

// moment is one thing of an observation.
type moment struct {
	at time.Duration
	do func()
}

// observed takes what the crowd saw, in the order in which it happened.
func (l *lane) observed(o *stagev1.Observations, now time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.attached || o.GetTake() != l.load.take {
		return
	}
	l.meter.Advance(now, true)
	moments := make([]moment, 0, len(o.GetInferences())+len(o.GetOccurrences())+len(o.GetGaps())+len(o.GetCalls()))
	add := func(ago *durationpb.Duration, do func(at time.Duration)) {
		at := now - min(max(ago.AsDuration(), 0), maxAgo)
		moments = append(moments, moment{at, func() { do(at) }})
	}
	for _, c := range o.GetOccurrences() {
		add(c.GetAgo(), func(at time.Duration) { l.occurred(c, at, now) })
	}
	for _, c := range o.GetCalls() {
		add(c.GetAgo(), func(time.Duration) { l.callChanged(c, now) })
	}
	for _, i := range o.GetInferences() {
		add(i.GetAgo(), func(at time.Duration) { l.inferred(i, at, now) })
	}
	for _, g := range o.GetGaps() {
		add(g.GetAgo(), func(at time.Duration) { l.paused(g, at, now) })
	}
	slices.SortStableFunc(moments, func(a, b moment) int { return cmp.Compare(a.at, b.at) })
	for _, m := range moments {
		m.do()
	}
	l.countCalls()
	l.untold += o.GetUntold()
}

func (l *lane) countCalls() {
	up := 0
	for _, s := range l.sessions {
		if s.callUp {
			up++
		}
	}
	l.meter.CallsUp(up)
}

// caller is the session of one; nil where it has none.
func (l *lane) caller(id string, now time.Duration) *session {
	if _, err := sessions.Parse(id); err != nil {
		return nil
	}
	return l.session(id, now, true)
}

func (l *lane) count(at time.Duration, name string) {
	l.meter.Count(at, name)
	l.moves.Count(at, name)
}

func (l *lane) inferred(i *stagev1.CrowdInference, at, now time.Duration) {
	s := l.caller(i.GetSession(), now)
	latency, late := i.GetLatency().AsDuration(), i.GetLate().AsDuration()
	l.count(at, wire.CountRequests)
	l.meter.Sent(at, late)
	if i.GetMisrouted() {
		l.count(at, wire.CountMisroutedRequests)
	}
	switch i.GetState() {
	case stateFailed:
		l.count(at, wire.CountRequestsFailed)
		if s != nil {
			s.state = stateFailed
		}
		return
	case stateCold:
		l.count(at, map[bool]string{true: wire.CountFirstLoads, false: wire.CountColdStarts}[i.GetFirst()])
	case stateWarm, stateCached:
	default:
		return // not one that was heard of
	}
	l.meter.Answered(at, latency)
	if s == nil {
		return
	}
	s.state = i.GetState()
	if at >= s.answer.at {
		s.answer = answer{pod: i.GetPod(), at: at}
	}
	if i.GetAddress() != "" {
		l.moves.Answer(i.GetSession(), i.GetAddress(), at-latency+late, at)
	}
}

func (l *lane) occurred(o *stagev1.Occurrence, at, now time.Duration) {
	class := o.GetClass()
	if !meter.Known(class) {
		return
	}
	l.count(at, class)
	s := l.caller(o.GetSession(), now)
	if s == nil {
		return
	}
	if losses[class] {
		s.lost = class
		s.losses++
	}
	// Each call is dropped once, in one way or both.
	if (class == wire.CountDroppedNoMedia || class == wire.CountDroppedStateLost) && !s.dropped {
		s.dropped = true
		l.count(at, wire.CountDroppedCalls)
	}
}

func (l *lane) callChanged(c *stagev1.CallChange, now time.Duration) {
	s := l.caller(c.GetSession(), now)
	if s == nil {
		return
	}
	if c.GetUp() && !s.callUp {
		s.dropped = false
		s.heard = now // it may be up for long, and be told of to a new stream
	}
	s.callUp = c.GetUp()
}

func (l *lane) paused(g *stagev1.MediaGap, at, now time.Duration) {
	l.meter.Gap(at, g.GetLength().AsDuration())
	l.moves.Gap(at, g.GetLength().AsDuration())
	if s := l.caller(g.GetSession(), now); s != nil {
		s.heard = now // a crowd tells of it once the next packet is there
	}
}
