package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/smaran-v2/smaran/services/smaran/backend"
	"github.com/smaran-v2/smaran/services/stage/venue"
)

// lane is a place for one fleet at a time: the fleet of now, and what stays when another takes its place. All fleets of a lane have the
// same seed, the same ports, and so pods of the same names and addresses: a ring of before and one of after differ by nothing but what was
// done to the pods. Two lanes have pods of the same names at the same 127.0.0.x (one address: at the same offsets), but at other ports, as
// all of them run at once. A ring hashes ip:port: the rings of two lanes differ, and a session is at another pod in each.
type lane struct {
	house *House
	id    string
	// cfg is the command's, with the lane's own addresses.
	cfg Config
	// first is the backend that it begins with.
	first   backend.Name
	control string
	crowd   *crowd
	notices *notices

	// turn holds one token: Recasts come one at a time.
	turn chan struct{}

	mu sync.Mutex
	// fleet is nil while there is none, and down says why.
	fleet *Fleet
	down  error
}

// open makes the lane's first fleet, which settles its addresses.
func (l *lane) open(ctx context.Context) (*Fleet, error) {
	f, err := New(ctx, l.cfg.cast(l.first), l.options(false))
	if err != nil {
		return nil, err
	}
	l.cfg.Listen, l.cfg.PortBase = f.ways[0].smaran.address, f.layout.base
	l.set(f, nil)
	return f, nil
}

func (l *lane) options(samePorts bool) Options {
	o := l.house.options
	o.Control, o.SamePorts, o.Log = l.control, samePorts, l.notices.log
	return o
}

// now is the fleet that the lane has, or why there is none, as an error that matches ErrLaneDown.
func (l *lane) now() (*Fleet, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fleet == nil {
		return nil, fmt.Errorf("lane %s: %w: %w", l.id, ErrLaneDown, l.down)
	}
	return l.fleet, nil
}

func (l *lane) set(f *Fleet, down error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fleet, l.down = f, down
}

// recast puts a fleet with another backend in the place of the one of now, once the change that this is at has ended. Where the new one
// fails, the lane has none, which the error says.
func (l *lane) recast(ctx context.Context, cfg Config) error {
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("waiting for another change of the backend to end: %w", context.Cause(ctx))
	}
	defer func() { <-l.turn }()
	if old, err := l.now(); err == nil {
		release, err := old.take(ctx)
		if err != nil {
			return err
		}
		l.set(nil, fmt.Errorf("the backend %s takes the place of %s", cfg.Backend, old.cfg.Backend))
		l.notices.add(slog.LevelInfo, fmt.Sprintf("backend %s in place of %s: every process is new", cfg.Backend, old.cfg.Backend))
		err = old.Close()
		release()
		if err != nil { // nothing runs any more; some file of it is left
			l.notices.add(slog.LevelWarn, err.Error())
		}
	}
	err := l.replace(ctx, cfg)
	if err == nil {
		return nil
	}
	l.set(nil, err)
	err = fmt.Errorf("lane %s: %w: %w", l.id, ErrLaneDown, err)
	if !errors.Is(err, ErrClosed) { // that was asked for
		l.notices.add(slog.LevelError, err.Error())
	}
	return err
}

// replace is for a lane without a fleet. It shows while it starts.
func (l *lane) replace(ctx context.Context, cfg Config) error {
	f, err := New(ctx, cfg, l.options(true))
	if err != nil {
		return err
	}
	l.set(f, nil)
	if err := f.Start(ctx); err != nil {
		return errors.Join(fmt.Errorf("backend %s: %w", cfg.Backend, err), f.Close())
	}
	return nil
}

// with is the lane's Config with another backend. It fails with venue.ErrUnknown, or ErrNotHere where the Config has no place for it.
func (l *lane) with(name string) (Config, error) {
	parsed, err := backend.ParseName(name)
	if err != nil {
		return Config{}, fmt.Errorf("%w: %w", venue.ErrUnknown, err)
	}
	cfg := l.cfg.cast(parsed)
	if err := cfg.Validate(); err != nil {
		return Config{}, fmt.Errorf("%w: %w", venue.ErrNotHere, err)
	}
	return cfg, nil
}

// describe is what a stage is told of the lane.
func (l *lane) describe() venue.Lane {
	smaran := baseURL(l.cfg.Listen)
	out := venue.Lane{
		ID: l.id, Smaran: smaran, Fleet: laneService{l}, Pods: l.cfg.Pods,
		Verbs: []venue.Verb{venue.Backend, venue.Scale, venue.Kill, venue.Drain, venue.Freeze, venue.Thaw, venue.Rollout, venue.Redis,
			venue.Smaran, venue.Reset},
	}
	for _, name := range backend.Names() {
		if _, err := l.with(string(name)); err == nil {
			out.Backends = append(out.Backends, string(name))
		}
	}
	if l.crowd.runs() {
		out.Verbs = append(out.Verbs, venue.Load, venue.Header)
	} else {
		out.Reason = l.crowd.missing.Error()
	}
	return out
}

// close ends the lane's fleet. A Recast has to have been cut short before.
func (l *lane) close() error {
	l.turn <- struct{}{} // and kept: there are no more
	f, err := l.now()
	if err != nil {
		return nil
	}
	return f.Close()
}

// cast is the same Config with another backend. What it says of its own backend alone does not hold for another.
func (c Config) cast(name backend.Name) Config {
	if name != c.Backend {
		c.Backend, c.Policy, c.SessionStore = name, "", StoreNone
	}
	return c
}
