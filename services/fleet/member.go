package fleet

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"syscall"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/smaran-v2/smaran/services/fleet/internal/proc"
)

const (
	// maxDeaths in a row before it was ready make a process hopeless for whoever waits for it. It is tried on, as a kubelet would.
	maxDeaths = 3
	// After this long in service its deaths are forgotten.
	stableAfter = 10 * time.Second
	// Extra wait after the second death in a row, doubled with each further one.
	firstBackoff = 250 * time.Millisecond
	maxBackoff   = 10 * time.Second
	// teardown is how long a process may take to end once the whole fleet goes down.
	teardown = 700 * time.Millisecond
	// graceMargin is what a process may take beyond the grace it was told.
	graceMargin = time.Second
	// tailLines of a dead process's log are reported.
	tailLines = 15
	// atOnce, as a grace, is SIGKILL without SIGTERM.
	atOnce time.Duration = -1
)

// phase of a member.
type phase int

const (
	starting phase = iota
	ready
	dead  // waits to be started anew
	ended // for good
)

// supervision is what members have in common.
type supervision struct {
	spawner      *proc.Spawner
	clock        clockwork.Clock
	detect       time.Duration
	restartAfter time.Duration
	startTimeout time.Duration
	notices      *notices
	changed      func() // a member's view changed
}

// observer hears what happens to a pod, from the member's own goroutine.
type observer interface {
	// up: it is ready, for the first time or again.
	up()
	// noticed: it died, and was not ready again within the detection delay.
	noticed()
	// over: it was asked to end, and did.
	over()
}

// member is one process that is kept running: started, waited for, seen dying, started anew under the same name and with the
// same arguments. Its run method is its only goroutine; the others ask it.
type member struct {
	*supervision
	name  string
	spec  proc.Spec
	probe probe
	on    observer

	end     chan struct{} // closed by stop
	stopped chan struct{} // closed when run returns

	mu      sync.Mutex
	v       view
	grace   time.Duration // set before end is closed
	killed  bool          // the current process was killed on request
	process *proc.Process
}

// view is a member's state at one time.
type view struct {
	phase      phase
	frozen     bool
	stopping   bool
	pid        int
	started    time.Time
	restarts   uint32
	incarnated uint32 // counts processes started
	deaths     int    // in a row, unasked, until it has been stable
	unready    int    // of these, since it was ready last
	last       death
}

type death struct {
	end   string
	lines []string
}

func newMember(s *supervision, name string, spec proc.Spec, p probe, on observer) *member {
	return &member{supervision: s, name: name, spec: spec, probe: p, on: on,
		end: make(chan struct{}), stopped: make(chan struct{})}
}

// run keeps the process running until stop or the end of ctx; then it ends it.
func (m *member) run(ctx context.Context) {
	defer close(m.stopped)
	l := &life{member: m}
	l.start(ctx)
	for {
		select {
		case <-ctx.Done():
			l.finish(ctx)
			return
		case <-m.end:
			l.finish(ctx)
			return
		case err := <-l.serves:
			l.served(err)
		case <-l.exited:
			l.died()
		case <-l.notice.c:
			l.notice.stop()
			m.on.noticed()
		case <-l.again.c:
			l.start(ctx)
		}
	}
}

// life is what run keeps between its steps.
type life struct {
	*member
	process *proc.Process
	exited  <-chan struct{}
	serves  chan error // one answer of the probe
	giveUp  context.CancelFunc
	since   time.Time // ready since
	late    bool      // killed for taking too long to be ready

	notice, again alarm
}

// alarm is a timer that may not be set.
type alarm struct {
	timer clockwork.Timer
	c     <-chan time.Time
}

func (a *alarm) set(clock clockwork.Clock, d time.Duration) {
	a.stop()
	a.timer = clock.NewTimer(d)
	a.c = a.timer.Chan()
}

func (a *alarm) stop() {
	if a.timer != nil {
		a.timer.Stop()
	}
	a.timer, a.c = nil, nil
}

func (l *life) start(ctx context.Context) {
	l.again.stop()
	l.late, l.since = false, time.Time{}
	p, err := l.spawner.Start(l.spec)
	l.mu.Lock()
	l.v.incarnated++
	if l.v.incarnated > 1 {
		l.v.restarts++
	}
	l.killed = false
	l.mu.Unlock()
	if err != nil {
		l.fell(death{end: err.Error()})
		return
	}
	l.process, l.exited = p, p.Done()
	l.update(func(v *view) {
		v.phase, v.pid, v.started, v.frozen = starting, p.PID(), l.clock.Now(), false
		l.member.process = p
	})
	probing, cancel := context.WithTimeout(ctx, l.startTimeout)
	l.giveUp = cancel
	l.serves = make(chan error, 1)
	go func(answer chan<- error) { answer <- poll(probing, l.probe) }(l.serves)
}

func (l *life) served(err error) {
	l.giveUp()
	l.serves = nil
	if err != nil {
		// Not ready in time, or the fleet ends, which the loop sees.
		l.late = true
		_ = l.process.Signal(syscall.SIGKILL)
		return
	}
	l.since = l.clock.Now()
	l.notice.stop()
	l.on.up() // before whoever waits for it goes on
	l.update(func(v *view) { v.phase, v.unready = ready, 0 })
}

// stopProbe returns once the probe's goroutine has ended.
func (l *life) stopProbe() {
	if l.serves != nil {
		l.giveUp()
		<-l.serves
		l.serves = nil
	}
}

func (l *life) died() {
	l.stopProbe()
	d := death{end: l.process.End(), lines: l.process.Tail(tailLines)}
	if l.late {
		d.end = fmt.Sprintf("not ready within %s, killed", l.startTimeout)
	}
	l.process, l.exited = nil, nil
	l.fell(d)
}

// fell decides when the process is started anew.
func (l *life) fell(d death) {
	wait := l.restartAfter
	l.mu.Lock()
	asked := l.killed
	if !asked {
		if !l.since.IsZero() && l.clock.Since(l.since) >= stableAfter {
			l.v.deaths = 0
		}
		l.v.deaths++
		l.v.unready++
		if l.v.deaths > 1 {
			wait = max(wait, min(firstBackoff<<min(l.v.deaths-2, 16), maxBackoff))
		}
	}
	l.v.phase, l.v.last, l.v.frozen, l.v.pid = dead, d, false, 0
	l.member.process = nil
	l.mu.Unlock()

	if asked {
		l.notices.add(slog.LevelInfo, fmt.Sprintf("%s was killed; it starts anew in %s", l.name, wait))
	} else {
		l.notices.add(slog.LevelWarn, fmt.Sprintf("%s died without being asked to (%s); it starts anew in %s", l.name, d.end, wait), d.lines...)
	}
	if !l.since.IsZero() {
		l.notice.set(l.clock, l.detect)
	}
	l.again.set(l.clock, wait)
	l.changed()
}

// finish ends the process: SIGTERM, the grace, SIGKILL. When the fleet goes down the grace is cut short.
func (l *life) finish(ctx context.Context) {
	l.notice.stop()
	l.again.stop()
	l.stopProbe()
	if l.process != nil {
		l.terminate(ctx)
		<-l.process.Done()
	}
	l.update(func(v *view) {
		v.phase, v.pid, v.frozen = ended, 0, false
		l.member.process = nil
	})
	l.on.over()
}

func (l *life) terminate(ctx context.Context) {
	done := l.process.Done()
	patience := l.patience()
	if patience == atOnce {
		_ = l.process.Signal(syscall.SIGKILL)
		return
	}
	_ = l.process.Signal(syscall.SIGTERM)
	grace := l.clock.NewTimer(patience + graceMargin)
	defer grace.Stop()
	select {
	case <-done:
		return
	case <-grace.Chan():
		l.notices.add(slog.LevelWarn, fmt.Sprintf("%s did not end within its grace and was killed", l.name))
	case <-ctx.Done():
		if l.look().frozen {
			break // it would hear of nothing until thawed
		}
		l.process.Abandon()
		select {
		case <-done:
			return
		case <-time.After(teardown):
		}
	}
	_ = l.process.Signal(syscall.SIGKILL)
}

func (m *member) update(change func(*view)) {
	m.mu.Lock()
	change(&m.v)
	m.mu.Unlock()
	m.changed()
}

// look returns the state as it is now.
func (m *member) look() view {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.v
}

func (m *member) patience() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.grace
}

// stop has run end the process and return. Only the first call counts.
func (m *member) stop(grace time.Duration) {
	m.mu.Lock()
	first := !m.v.stopping
	m.v.stopping = true
	if first {
		m.grace = grace
	}
	m.mu.Unlock()
	if first {
		close(m.end)
		m.changed()
	}
}

// kill sends SIGKILL, by request. It returns how many processes were started until then.
func (m *member) kill() (incarnated uint32, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.v.stopping:
		return 0, fmt.Errorf("%w: %s ends already", ErrPhase, m.name)
	case m.process == nil:
		return 0, fmt.Errorf("%w: %s is dead and about to start anew", ErrPhase, m.name)
	}
	m.killed = true
	return m.v.incarnated, m.process.Signal(syscall.SIGKILL)
}

// freeze sends SIGSTOP, or SIGCONT.
func (m *member) freeze(frozen bool) error {
	m.mu.Lock()
	if m.process == nil || m.v.phase != ready || m.v.stopping {
		m.mu.Unlock()
		return fmt.Errorf("%w: %s is not ready", ErrPhase, m.name)
	}
	signal := syscall.SIGCONT
	if frozen {
		signal = syscall.SIGSTOP
	}
	err := m.process.Signal(signal)
	if err == nil {
		m.v.frozen = frozen
	}
	m.mu.Unlock()
	m.changed()
	return err
}

// serving is a condition: the member is ready, in a process later than the first `after`. It fails with a *NotReadyError or,
// for one that was stopped, ErrPhase.
func (m *member) serving(after uint32) (bool, error) {
	v := m.look()
	switch {
	case v.stopping || v.phase == ended:
		return false, fmt.Errorf("%w: %s was stopped meanwhile", ErrPhase, m.name)
	case v.incarnated > after && v.phase == ready:
		return true, nil
	case v.incarnated > after && v.unready >= maxDeaths:
		return false, &NotReadyError{Name: m.name, Deaths: v.unready, End: v.last.end, Lines: v.last.lines}
	}
	return false, nil
}
