package compose

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"
)

// watch follows the engine's own account of the project's containers.
type watch struct {
	docker *docker
	clock  clockwork.Clock
	board  *board

	mu         sync.Mutex
	containers map[string]string // service by id, of those seen starting
	states     map[string]*state // by service
	expected   map[string]bool   // services whose end is ours
	unasked    chan error
}

// state is a service's.
type state struct {
	running bool
	// frozen by SIGSTOP; stopping: its end was asked for; removed: its container is gone, too.
	frozen, stopping, removed bool
	starts                    int
	started                   time.Time
}

func newWatch(d *docker, clock clockwork.Clock, b *board) *watch {
	return &watch{
		docker: d, clock: clock, board: b, containers: map[string]string{}, states: map[string]*state{}, expected: map[string]bool{},
		unasked: make(chan error, 1),
	}
}

// run follows until ctx ends. It fails where a container ends that was not asked to, or the engine says no more.
func (w *watch) run(ctx context.Context, since time.Time) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() {
		words, err := w.docker.stream(ctx, &lines{line: w.event}, "events", "--since", strconv.FormatInt(since.Unix(), 10),
			"--filter", "label="+projectLabel+"="+w.docker.project, "--filter", "event=start", "--filter", "event=die",
			"--format", "{{json .}}")
		ended <- fmt.Errorf("%w: docker events ended: %w: %s", ErrCommand, err, words)
	}()
	select {
	case err := <-w.unasked:
		stop()
		<-ended
		return err
	case err := <-ended:
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
}

// event is one line of `docker events`.
func (w *watch) event(line []byte) {
	var e struct {
		Action string
		Actor  struct {
			ID         string
			Attributes map[string]string
		}
	}
	if err := json.Unmarshal(line, &e); err != nil {
		w.docker.log.Warn("docker events", "line", string(line), "error", err)
		return
	}
	name := e.Actor.Attributes[serviceLabel]
	w.mu.Lock()
	s := w.states[name]
	if s == nil {
		s = &state{}
		w.states[name] = s
	}
	switch e.Action {
	case "start":
		w.containers[e.Actor.ID] = name
		s.running, s.frozen, s.removed, s.started = true, false, false, w.clock.Now()
		s.starts++
	case "die":
		if w.containers[e.Actor.ID] != name || !s.running { // of a project before this one
			break
		}
		s.running, s.frozen = false, false
		if !w.expected[name] {
			select {
			case w.unasked <- fmt.Errorf("%s ended without being asked to, with exit code %s; its last words: %s logs --tail 20 %s",
				name, e.Actor.Attributes["exitCode"], w.docker.hint(), name):
			default: // one is enough
			}
		}
	}
	w.mu.Unlock()
	w.board.announce()
}

// expect says whether services may end from now on.
func (w *watch) expect(may bool, services ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range services {
		w.expected[s] = may
	}
}

// look returns a service's state as it is now.
func (w *watch) look(name string) state {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.states[name]
	if s == nil {
		return state{}
	}
	out := *s
	out.stopping = w.expected[name]
	return out
}

// gone notes that services have no container any more.
func (w *watch) gone(services ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, name := range services {
		if s := w.states[name]; s != nil {
			s.removed = true
		}
	}
}

// froze notes that a service's process was stopped, or goes on.
func (w *watch) froze(name string, frozen bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.states[name]; s != nil {
		s.frozen = frozen
	}
}

// lines hands on each whole line that is written to it.
type lines struct {
	line func([]byte)
	rest []byte
}

func (l *lines) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for {
		i := bytes.IndexByte(l.rest, '\n')
		if i < 0 {
			return len(p), nil
		}
		l.line(l.rest[:i])
		l.rest = l.rest[i+1:]
	}
}
