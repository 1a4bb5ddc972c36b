package crowd

import (
	"context"
	"sync"
	"time"

	"github.com/smaran-v2/smaran/loadtest/internal/client"
	"github.com/smaran-v2/smaran/loadtest/internal/engine"
	"github.com/smaran-v2/smaran/loadtest/internal/plan"
)

// wish is what is wanted of one caller.
type wish struct {
	wanted
	// here: it is one of those who are wanted.
	here bool
	// told is when the order came, start when a caller who comes now begins; from the take's epoch.
	told, start time.Duration
}

// calling says whether a call is to be up.
func (w wish) calling() bool { return w.here && !w.headerless }

// member is one caller, whether it is wanted or not. Its goroutine is run's; tell and newcomer are the take's.
type member struct {
	call    int
	caller  *engine.Caller
	endless plan.Endless
	callers *engine.Callers
	witness *witness

	// latest is what was last told.
	latest wish
	// wishes has room for the last one.
	wishes chan wish
}

func newMember(call int, c *engine.Caller, e plan.Endless, all *engine.Callers, w *witness) *member {
	return &member{call: call, caller: c, endless: e, callers: all, witness: w, wishes: make(chan wish, 1)}
}

// newcomer says that the order has the caller place a call, or begin without one.
func (m *member) newcomer(w wanted) bool {
	return !m.latest.here || m.latest.headerless && !w.headerless
}

// tell takes the place of what was told before and not yet heard. One goroutine calls it at a time.
func (m *member) tell(w wish) {
	m.latest = w
	select {
	case <-m.wishes:
	default:
	}
	m.wishes <- w
}

// sitting is the time for which a caller is there.
type sitting struct {
	agenda *plan.Agenda
	period time.Duration
	// requests of it are cut off with it.
	requests context.Context
	cut      context.CancelCauseFunc
}

// line is a call that is to be up, or that is being hung up.
type line struct {
	hangUp context.CancelFunc
	// over is closed when it is hung up.
	over   chan struct{}
	ending bool
}

// run does what is wanted until ctx ends, and hangs up then.
func (m *member) run(ctx context.Context) {
	var (
		now  wish
		here *sitting
		up   *line
		work sync.WaitGroup
	)
	timer := m.callers.Clock.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		if up == nil && now.calling() && m.since() >= now.start {
			up = m.place(ctx)
		}
		if up != nil && !up.ending && !now.calling() {
			m.hangUp(up)
		}
		var over <-chan struct{}
		if up != nil && up.ending {
			over = up.over
		}
		m.wait(timer, now, here, up)
		select {
		case <-ctx.Done():
			if here != nil {
				here.cut(client.ErrCutOff)
			}
			if up != nil {
				m.hangUp(up)
				<-up.over
			}
			work.Wait()
			return
		case w := <-m.wishes:
			here = m.heed(w, here)
			now = w
		case <-over:
			m.caller.Renew()
			up = nil
		case <-timer.Chan():
			if here != nil && here.agenda.Due() <= m.since() {
				m.do(here, &work)
			}
		}
	}
}

// wait sets the timer to when something is to be done next.
func (m *member) wait(timer interface{ Reset(time.Duration) bool }, now wish, here *sitting, up *line) {
	next := time.Hour
	if here != nil {
		next = here.agenda.Due() - m.since()
	}
	if up == nil && now.calling() {
		next = min(next, now.start-m.since())
	}
	timer.Reset(max(0, next))
}

// heed has the caller come, leave, or ask at another pace.
func (m *member) heed(w wish, here *sitting) *sitting {
	m.caller.LeaveOut(w.headerless)
	switch {
	case !w.here:
		if here != nil {
			here.cut(client.ErrCutOff)
		}
		return nil
	case here == nil:
		here = &sitting{agenda: m.endless.Agenda(m.call, w.start, w.period), period: w.period}
		here.requests, here.cut = context.WithCancelCause(context.Background()) // ended by whoever ends the sitting
	case here.period != w.period:
		here.agenda.Repace(w.told, w.period)
		here.period = w.period
	}
	return here
}

// do begins what is due.
func (m *member) do(here *sitting, work *sync.WaitGroup) {
	if a := here.agenda.Next(); !m.caller.Do(here.requests, a, work) {
		m.witness.dropped(a.At)
	}
}

// place puts the call up, and keeps it up.
func (m *member) place(ctx context.Context) *line {
	calling, hangUp := context.WithCancel(context.WithoutCancel(ctx))
	l := &line{hangUp: hangUp, over: make(chan struct{})}
	m.caller.Place()
	go func() { // ends by hangUp, and who called that waits for it
		defer close(l.over)
		m.caller.Run(calling)
	}()
	return l
}

// hangUp ends a call, once.
func (m *member) hangUp(l *line) {
	if !l.ending {
		l.ending = true
		m.caller.Finish() // what is silent until now is a gap, and what comes is none
		l.hangUp()
	}
}

func (m *member) since() time.Duration { return m.callers.Clock.Since(m.callers.Epoch) }
