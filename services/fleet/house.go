package fleet

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/smaran-v2/smaran/proto/fleet/v1/fleetv1connect"
	"github.com/smaran-v2/smaran/services/fleet/internal/proc"
	"github.com/smaran-v2/smaran/services/smaran/backend"
	"github.com/smaran-v2/smaran/services/stage/venue"
)

// HouseConfig is what a House runs besides the fleet of its Config.
type HouseConfig struct {
	// Beside is the backend of a second lane; empty: there is one lane.
	Beside backend.Name
	// BesideControl is where the second lane's control API listens.
	BesideControl string
	// Stage is the address of the page, for Status, and Crowds the URL at which crowds attach; empty: there is none of them.
	Stage, Crowds string
}

// House is all that one command runs: a fleet a lane, and with a stage a crowd a lane. It is the stage's venue on one machine. Fleets come
// and go by Recast; their lanes' addresses, and what steers them, stay.
type House struct {
	cfg     HouseConfig
	options Options
	lanes   []*lane
	// board hears of the crowds, and dir and spawner are theirs.
	board    *board
	dir      *runDir
	spawner  *proc.Spawner
	keepLogs bool

	// life ends when the house is about to.
	life    context.Context
	endLife context.CancelCauseFunc
	mu      sync.Mutex // held where life ends, and where something is launched
	running sync.WaitGroup
	once    sync.Once
	closed  chan struct{}
	failed  error // of closing
}

var _ venue.Venue = (*House)(nil)

// NewHouse finds all that is needed, and the addresses. It starts nothing; Start does. Options' Control is where the first lane's control
// API listens. The caller must Close it.
func NewHouse(ctx context.Context, cfg Config, hc HouseConfig, o Options) (*House, error) {
	h := &House{cfg: hc, options: o, closed: make(chan struct{})}
	h.life, h.endLife = context.WithCancelCause(context.WithoutCancel(ctx))
	h.board = newBoard(h.life.Done())
	if err := h.prepare(ctx, cfg); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

func (h *House) prepare(ctx context.Context, cfg Config) (err error) {
	if err := cfg.Validate(); err != nil {
		return err
	}
	if cfg.Seed == 0 && h.cfg.Stage != "" {
		cfg.Seed = rand.Uint64() // lanes, and the fleets of one lane, are compared
	}
	if h.cfg.Crowds != "" {
		if h.dir, err = newRunDir(cfg.Dir); err != nil {
			return err
		}
		h.keepLogs = cfg.KeepLogs
		h.spawner = proc.NewSpawner(proc.DefaultGuard()...)
	}
	f, err := h.add(ctx, cfg, cfg.Backend, h.options.Control)
	if err != nil || h.cfg.Beside == "" {
		return err
	}
	host, _, err := net.SplitHostPort(cfg.Listen)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrAddress, err)
	}
	cfg.Listen, cfg.PortBase = net.JoinHostPort(host, "0"), f.layout.next()
	if _, err := h.add(ctx, cfg, h.cfg.Beside, h.cfg.BesideControl); err != nil {
		return fmt.Errorf("the lane beside: %w", err)
	}
	return nil
}

// add opens a lane whose fleet is the Config's with the backend that it begins with.
func (h *House) add(ctx context.Context, cfg Config, first backend.Name, control string) (*Fleet, error) {
	id, log := string(rune('a'+len(h.lanes))), h.options.Log
	if h.cfg.Beside != "" {
		log = log.With("lane", id)
	}
	l := &lane{
		house: h, id: id, cfg: cfg, first: first, control: control, notices: &notices{clock: h.options.Clock, log: log},
		turn: make(chan struct{}, 1), down: errors.New("it never was opened"),
	}
	h.lanes = append(h.lanes, l)
	l.crowd = h.newCrowd(l)
	return l.open(ctx)
}

// Seed is that of all lanes: the Config's, or the one taken in its place.
func (h *House) Seed() uint64 { return h.lanes[0].cfg.Seed }

// Start returns once every lane's fleet is ready. Crowds start then: a call to what is not there yet would count as lost. ctx bounds the
// start alone.
func (h *House) Start(ctx context.Context) error {
	ctx, cancel := h.within(ctx)
	defer cancel()
	all, starting := errgroup.WithContext(ctx)
	for _, l := range h.lanes {
		all.Go(func() error {
			f, err := l.now()
			if err != nil {
				return err
			}
			return f.Start(starting)
		})
	}
	if err := all.Wait(); err != nil {
		return err
	}
	for _, l := range h.lanes {
		if err := l.startCrowd(ctx); err != nil {
			return err
		}
	}
	return nil
}

// launch runs a member until the house goes down.
func (h *House) launch(m *member) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.life.Err() != nil {
		return ErrClosed
	}
	h.running.Go(func() { m.run(h.life) })
	return nil
}

// within is ctx, ending with the house, too.
func (h *House) within(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(h.life, func() { cancel(context.Cause(h.life)) })
	return ctx, func() { stop(); cancel(nil) }
}

// Lanes implements venue.Venue.
func (h *House) Lanes() []venue.Lane {
	out := make([]venue.Lane, len(h.lanes))
	for i, l := range h.lanes {
		out[i] = l.describe()
	}
	return out
}

// Recast implements venue.Venue. Every process of the lane is new afterwards, at the address that it had. A change that is being made ends
// first. Where the new fleet does not come up the lane has none, until another Recast.
func (h *House) Recast(ctx context.Context, id, name string) error {
	ctx, cancel := h.within(ctx)
	defer cancel()
	var ids []string
	for _, l := range h.lanes {
		if l.id == id {
			cfg, err := l.with(name)
			if err != nil {
				return err
			}
			return l.recast(ctx, cfg)
		}
		ids = append(ids, l.id)
	}
	return fmt.Errorf("%w: lane %q: there are %s", venue.ErrUnknown, id, strings.Join(ids, ", "))
}

// Services steer the lanes, in their order. Down ends the house.
func (h *House) Services() []fleetv1connect.FleetServiceHandler {
	out := make([]fleetv1connect.FleetServiceHandler, len(h.lanes))
	for i, l := range h.lanes {
		out[i] = laneService{l}
	}
	return out
}

// Close ends everything and removes what it made, within the time that a Fleet takes to. It may be called again, and then waits for the
// same end.
func (h *House) Close() error {
	h.once.Do(func() {
		defer close(h.closed)
		h.mu.Lock()
		h.endLife(ErrClosed)
		h.mu.Unlock()
		var ending errgroup.Group
		for _, l := range h.lanes {
			ending.Go(l.close)
		}
		h.running.Wait()
		h.failed = errors.Join(ending.Wait(), h.release())
	})
	<-h.closed
	return h.failed
}

func (h *House) release() error {
	if h.spawner != nil {
		h.spawner.Close()
	}
	if h.dir == nil {
		return nil
	}
	kept, err := h.dir.remove(h.keepLogs)
	if kept != "" {
		h.options.Log.Info("logs of the crowds are in " + kept)
	}
	return err
}

// Closed is closed when nothing of the house is left.
func (h *House) Closed() <-chan struct{} { return h.closed }
