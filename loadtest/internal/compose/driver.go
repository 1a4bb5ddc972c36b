package compose

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"strings"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/smaran-v2/smaran/loadtest/internal/driver"
)

// Options say which project to run, and how.
type Options struct {
	// File is the compose file; empty is the one that compose finds.
	File string
	// Project is the project's name; empty takes the file's.
	Project string
	// Docker is the program; empty is docker on PATH.
	Docker string
	Clock  clockwork.Clock
	Log    *slog.Logger
}

// Driver runs fleets as docker compose projects, one at a time.
type Driver struct{ options Options }

// New makes a Driver. It asks nothing of docker yet.
func New(o Options) *Driver { return &Driver{options: o} }

// Name is "compose".
func (d *Driver) Name() string { return Name }

// Name of the driver.
const Name = "compose"

// upTime bounds taking down what could not be brought up.
const upTime = time.Minute

// Up implements driver.Driver. It fails with ErrNoDocker, ErrRunning, ErrTaken, ErrFile or driver.ErrStart. Images that are missing are built,
// which can take minutes.
func (d *Driver) Up(ctx context.Context, s driver.Spec) (driver.Fleet, error) {
	c, l, err := d.prepare(ctx, s)
	for err == nil {
		var f driver.Fleet
		if f, err = d.start(ctx, c, l, s); err == nil {
			return f, nil
		}
		// Somebody may have taken a port since it was found to be free. Then there is another place now.
		next, elsewhere, nextErr := d.prepare(ctx, s)
		if nextErr != nil || reflect.DeepEqual(l, elsewhere) {
			break
		}
		c, l, err = next, elsewhere, nil
	}
	return nil, err
}

// start brings the project up, and leaves nothing where it can't.
func (d *Driver) start(ctx context.Context, c *docker, l *layout, s driver.Spec) (driver.Fleet, error) {
	f := d.fleet(c, l, s)
	if err := f.start(ctx); err != nil {
		down, cancel := context.WithTimeout(context.WithoutCancel(ctx), upTime)
		defer cancel()
		return nil, errors.Join(fmt.Errorf("%w: %w", driver.ErrStart, err), f.Down(down))
	}
	return f, nil
}

// prepare makes sure that the project can be brought up, and finds it a place on this machine. It starts nothing.
func (d *Driver) prepare(ctx context.Context, s driver.Spec) (*docker, *layout, error) {
	c := &docker{program: d.options.Docker, project: d.options.Project, environ: os.Environ(), log: d.options.Log}
	if c.program == "" {
		c.program = "docker"
	}
	if d.options.File != "" {
		c.files = []string{d.options.File}
	}
	if err := c.check(ctx); err != nil {
		return nil, nil, err
	}
	f, err := c.place(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	l, err := f.layout()
	if err != nil {
		return nil, nil, err
	}
	if s.Pods < 1 || s.Pods > len(l.pods) {
		return nil, nil, fmt.Errorf("%w: %d pods: the compose file has 1 to %d", ErrPod, s.Pods, len(l.pods))
	}
	return c, l, nil
}

// vacant fails with ErrRunning where there is anything of the project.
func (d *docker) vacant(ctx context.Context) error {
	left, _, err := d.left(ctx)
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return fmt.Errorf("%w: %s has %d containers, networks and volumes, the first is %s: end it with: %s, or choose another name with --project",
			ErrRunning, d.project, len(left), left[0], d.downHint())
	}
	return nil
}

func (d *Driver) fleet(c *docker, l *layout, s driver.Spec) *fleet {
	board, client := newBoard(), &http.Client{Transport: &http.Transport{}}
	f := &fleet{
		docker: c, layout: l, spec: s, policy: meshPolicy(s), client: client, clock: d.options.Clock, log: d.options.Log, board: board,
		history: &history{envoy: envoyAt(l.envoyAdmin, client), pods: l.pods, clock: d.options.Clock, board: board},
		watch:   newWatch(c, d.options.Clock, board),
		turn:    make(chan struct{}, 1), rng: rand.New(rand.NewPCG(s.Seed, 0)), size: s.Pods,
		over: make(chan struct{}), died: make(chan struct{}), stop: func() {},
	}
	f.turn <- struct{}{}
	return f
}

// start returns once the pods serve.
func (f *fleet) start(ctx context.Context) error {
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	f.stop = stop
	since := f.clock.Now()
	f.follow(background, func(ctx context.Context) error { return f.watch.run(ctx, since) })
	services := append(names(f.present()), f.layout.beside...)
	// Without --wait: what follows waits for more than the health checks, and not for their intervals.
	if _, err := f.docker.compose(ctx, append([]string{"up", "--detach", "--no-deps"}, services...)...); err != nil {
		return err
	}
	if err := f.await(ctx, "the engine told of every start", f.allRunning(services)); err != nil {
		return err
	}
	f.follow(background, f.history.run)
	if err := f.smaranReady(ctx); err != nil {
		return err
	}
	if err := f.serving(ctx, f.present()...); err != nil {
		return err
	}
	f.history.begin()
	return f.describe(ctx)
}

func (f *fleet) allRunning(services []string) func() bool {
	return func() bool {
		for _, s := range services {
			if !f.watch.look(s).running {
				return false
			}
		}
		return true
	}
}

// describe asks what runs for what it is, and makes sure that Envoy balances as the backend needs it.
func (f *fleet) describe(ctx context.Context) error {
	var err error
	if f.ringSize, err = f.history.envoy.balances(ctx, f.policy); err != nil {
		return err
	}
	if f.versions.envoy, err = f.history.envoy.version(ctx); err != nil {
		return err
	}
	raw, err := f.docker.compose(ctx, "exec", "-T", redisService, redisServer, "--version")
	if err != nil {
		return err
	}
	f.versions.redis = regexp.MustCompile(`\d+\.\d+\.\d+`).FindString(string(raw))
	raw, err = f.docker.run(ctx, "image", "inspect", "--format", `{{index .Config.Labels "`+revisionLabel+`"}}`, f.layout.image)
	if err != nil {
		return err
	}
	f.askBuilds(ctx, strings.TrimSpace(string(raw)))
	return nil
}

// revisionLabel is what the Dockerfile labels images with.
const revisionLabel = "org.opencontainers.image.revision"

// redisServer is Redis' program.
const redisServer = "redis-server"
