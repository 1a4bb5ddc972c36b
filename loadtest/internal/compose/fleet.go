package compose

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/smaran-v2/smaran/loadtest/internal/driver"
	"github.com/smaran-v2/smaran/services/mesh"
)

// errOver is what a wait ends with when the fleet does.
var errOver = errors.New("the fleet is over")

const (
	// teardown is how long a container may take to end when the whole fleet goes down: nobody listens to its calls any more.
	teardown = "1"
	// lookAgain is how often a project that is not gone yet is taken down once more.
	lookAgain = 200 * time.Millisecond
)

// fleet is a project that runs.
type fleet struct {
	docker   *docker
	layout   *layout
	spec     driver.Spec
	policy   mesh.Policy
	ringSize uint64
	versions versions
	client   *http.Client
	clock    clockwork.Clock
	log      *slog.Logger
	board    *board
	history  *history
	watch    *watch

	// turn holds one token: changes come one at a time. rng and size, the number of pods that shall be there, belong to who has it.
	turn chan struct{}
	rng  *rand.Rand
	size int

	stop       context.CancelFunc
	background sync.WaitGroup
	over       chan struct{} // closed when the fleet died or goes down

	mu   sync.Mutex
	down bool
	gone bool
	err  error
	died chan struct{}
}

// versions of what runs.
type versions struct{ smaran, jarvis, envoy, redis string }

// Died implements driver.Fleet.
func (f *fleet) Died() <-chan struct{} { return f.died }

// Err implements driver.Fleet.
func (f *fleet) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// follow runs one of the fleet's goroutines; the fleet dies with it.
func (f *fleet) follow(ctx context.Context, run func(context.Context) error) {
	f.background.Go(func() {
		err := run(ctx)
		f.mu.Lock()
		defer f.mu.Unlock()
		if err == nil || f.down || f.err != nil {
			return
		}
		f.err = fmt.Errorf("%w: %w", driver.ErrDied, err)
		close(f.died)
		close(f.over)
	})
}

// await waits for a condition that the engine's or Envoy's word can change. It fails with ErrSlow after readyTime.
func (f *fleet) await(ctx context.Context, what string, condition func() bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyTime, fmt.Errorf("%w: waited %v until %s", ErrSlow, readyTime, what))
	defer cancel()
	err := f.board.await(ctx, f.over, condition)
	if errors.Is(err, errOver) {
		return f.overError()
	}
	return err
}

// overError is what a wait fails with once the fleet is over.
func (f *fleet) overError() error { return errors.Join(errOver, f.Err()) }

// Down implements driver.Fleet.
func (f *fleet) Down(ctx context.Context) error {
	f.mu.Lock()
	first := !f.down
	f.down = true
	if first && f.err == nil {
		close(f.over)
	}
	gone := f.gone
	f.mu.Unlock()
	if gone {
		return nil
	}
	f.stop()
	f.background.Wait()
	f.client.CloseIdleConnections()
	err := f.docker.takeDown(ctx, f.clock)
	f.mu.Lock()
	f.gone = err == nil
	f.mu.Unlock()
	return err
}

// takeDown returns once nothing of the project is left: a container that was being made when the one who asked for it was interrupted
// may appear after a first try.
func (d *docker) takeDown(ctx context.Context, clock clockwork.Clock) error {
	for {
		_, watched, err := d.left(ctx)
		if err == nil {
			err = d.endAll(ctx, watched)
		}
		left, _, lookErr := d.left(ctx)
		if err = errors.Join(err, lookErr); err == nil && len(left) == 0 {
			return nil
		}
		timer := clock.NewTimer(lookAgain)
		select {
		case <-timer.Chan():
		case <-ctx.Done():
			timer.Stop()
			return errors.Join(fmt.Errorf("left of project %s: %s; try: %s", d.project, strings.Join(left, ", "), d.downHint()), err)
		}
	}
}

// endAll ends the project; where it is watched, the fleet alone.
func (d *docker) endAll(ctx context.Context, watched bool) error {
	if !watched {
		_, err := d.compose(ctx, "--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", teardown)
		return err
	}
	_, err := d.compose(ctx, append([]string{"--profile", "*", "stop", "--timeout", teardown}, d.services...)...)
	if err != nil {
		return err
	}
	_, err = d.compose(ctx, append([]string{"--profile", "*", "rm", "--force", "--stop", "--volumes"}, d.services...)...)
	return err
}
