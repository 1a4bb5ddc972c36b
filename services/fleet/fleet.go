package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"slices"
	"sync"

	"github.com/jonboulle/clockwork"

	"github.com/smaran-v2/smaran/services/fleet/internal/proc"
	"github.com/smaran-v2/smaran/services/smaran/backend"
)

// Options are what a Fleet is given besides its Config.
type Options struct {
	// Self is this program's path: the others are beside it unless Config.BinDir says otherwise.
	Self string
	// Environ is the environment of the fleet itself; children get little of it.
	Environ []string
	// Control is where the control API listens, for Status.
	Control string
	// SamePorts has New fail where Config.PortBase is taken, instead of taking another one: pods then have the addresses, and the ring
	// has the arcs, of the fleet before.
	SamePorts bool
	Clock     clockwork.Clock
	Log       *slog.Logger
}

// Fleet is a running fleet. Its methods may be called from any goroutine.
type Fleet struct {
	cfg      Config
	control  string
	programs programs
	environ  environment // that children inherit
	tokenKey string

	// ways are one, or two.
	ways []*way
	// late is nil with one way.
	late   *lateCopy
	dir    *runDir
	layout *layout
	ledger *ledger
	// admission is nil where pods hand nothing over.
	admission *admission
	notices   *notices
	board     *board
	*supervision

	// turn holds one token: changes come one at a time. rng belongs to who has it.
	turn chan struct{}
	rng  *rand.Rand

	// background runs a goroutine whose context ends with the fleet. Close waits for all of them.
	background func(func(context.Context))
	closing    <-chan struct{}
	endLife    context.CancelFunc
	running    sync.WaitGroup
	closed     chan struct{} // everything is gone
	once       sync.Once
	failed     error // of closing

	mu         sync.Mutex
	down       bool // nothing is launched any more
	pods       []*pod
	lastNumber int
	redis      service
	embedded   *embeddedRedis // in place of redis.member
}

// service is a process that is not a pod.
type service struct {
	member        *member
	address       string
	admin         string
	kind, version string
}

// New finds the programs, the directory and the addresses of a fleet. It starts no process; Start does. The caller must Close it.
func New(ctx context.Context, cfg Config, o Options) (*Fleet, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	seed := cfg.Seed
	if seed == 0 {
		seed = rand.Uint64()
	}
	f := &Fleet{
		cfg: cfg, control: o.Control,
		environ: environment(o.Environ).inherited(),
		turn:    make(chan struct{}, 1),
		rng:     rand.New(rand.NewPCG(seed, 0)),
		closed:  make(chan struct{}),
		notices: &notices{clock: o.Clock, log: o.Log}, tokenKey: newTokenKey(),
	}
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	f.background = func(run func(context.Context)) { f.running.Go(func() { run(life) }) }
	f.closing, f.endLife = life.Done(), end
	f.board = newBoard(f.closing)
	if err := f.prepare(ctx, o); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (f *Fleet) prepare(ctx context.Context, o Options) (err error) {
	if f.programs, err = findPrograms(ctx, &f.cfg, o.Self, o.Environ); err != nil {
		return err
	}
	if f.dir, err = newRunDir(f.cfg.Dir); err != nil {
		return err
	}
	public, err := publicAddress(ctx, f.cfg.Listen)
	if err != nil {
		return err
	}
	if f.layout, err = newLayout(ctx, f.cfg.PortBase, f.cfg.Pods, f.cfg.OneAddress, o.SamePorts); err != nil {
		return err
	}
	if f.layout.base != f.cfg.PortBase {
		f.notices.add(slog.LevelWarn, fmt.Sprintf("ports from %d are taken; using those from %d: pods have other addresses than in other runs",
			f.cfg.PortBase, f.layout.base))
	}
	f.supervision = &supervision{
		spawner: proc.NewSpawner(proc.DefaultGuard()...), clock: o.Clock,
		detect: f.cfg.Detect, restartAfter: f.cfg.RestartAfter, startTimeout: f.cfg.StartTimeout,
		notices: f.notices, changed: f.board.announce,
	}
	f.describeRedis(ctx)
	first, err := f.firstWay(ctx, public)
	if err != nil {
		return err
	}
	f.ways = []*way{first}
	if f.cfg.SecondWay > 0 {
		second, err := f.secondWay(ctx)
		if err != nil {
			return err
		}
		f.ways = append(f.ways, second)
		f.late = newLateCopy(f.dir.lateEndpointsFile(), f.cfg.SecondWay)
	}
	if f.cfg.Backend == backend.Handoff {
		f.admission = newAdmission(f)
	}
	f.ledger, err = newLedger(f.dir.endpointsFile(), f.late, o.Clock, f.cfg.Batch, func(err error) {
		if err != nil {
			f.notices.add(slog.LevelError, err.Error())
		}
		f.board.announce()
	})
	return err
}

// Start returns once everything is ready, the first pods in one version of the endpoints. ctx bounds the start alone; what was
// started runs until Close. Changes that come meanwhile wait.
func (f *Fleet) Start(ctx context.Context) error {
	release, err := f.take(ctx)
	if err != nil {
		return err
	}
	defer release()
	f.background(f.ledger.run)
	if f.handsOver() {
		f.background(f.admission.run)
	}
	f.ledger.hold()
	if err := f.redisUp(ctx); err != nil {
		return err
	}
	if _, err := f.addPods(ctx, f.cfg.Pods); err != nil {
		return err
	}
	if err := f.ledger.release(); err != nil {
		return err
	}
	if f.late != nil {
		if err := f.late.catchUp(); err != nil {
			return err
		}
		f.background(f.runLateCopy)
	}
	// Last, so that they have seen the pods once they are ready.
	for _, w := range f.ways {
		if err := f.startWay(w); err != nil {
			return err
		}
	}
	for _, w := range f.ways {
		if err := f.awaitWay(ctx, w); err != nil {
			return err
		}
	}
	return nil
}

// launch runs a member until it is stopped or the fleet goes down. The caller holds the lock.
func (f *Fleet) launch(m *member) error {
	if f.down {
		return ErrClosed
	}
	f.background(m.run)
	return nil
}

// Close ends the fleet and removes what it made, in less than 2 s. It may be called again, and then waits for the same end.
func (f *Fleet) Close() error {
	f.once.Do(func() {
		defer close(f.closed)
		f.mu.Lock()
		f.down = true
		f.mu.Unlock()
		f.endLife()
		f.running.Wait()
		f.failed = f.release()
	})
	<-f.closed
	return f.failed
}

// release gives back what is not a goroutine.
func (f *Fleet) release() error {
	if f.embedded != nil {
		f.mu.Lock()
		f.embedded.down()
		f.mu.Unlock()
	}
	if f.supervision != nil {
		f.spawner.Close()
	}
	if f.layout != nil {
		f.layout.close()
	}
	if f.dir == nil {
		return nil
	}
	kept, err := f.dir.remove(f.cfg.KeepLogs)
	if kept != "" {
		f.notices.add(slog.LevelInfo, "logs are in "+kept)
	}
	return err
}

// take waits for the caller's turn to change the fleet.
func (f *Fleet) take(ctx context.Context) (release func(), err error) {
	select {
	case f.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for another change to end: %w", context.Cause(ctx))
	case <-f.closing:
		return nil, ErrClosed
	}
	return func() { <-f.turn }, nil
}

// alive is the pods that were not asked to end, oldest first.
func (f *Fleet) alive() []*pod {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.pods), func(p *pod) bool { return p.look().stopping })
}

func (f *Fleet) podNamed(name string) (*pod, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.pods {
		if p.name == name {
			return p, nil
		}
	}
	return nil, fmt.Errorf("%w: %q: fleet ps lists them", ErrUnknownPod, name)
}

// publicAddress is where smaran shall listen, with a port in place of 0.
func publicAddress(ctx context.Context, listen string) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
	if err != nil {
		return "", fmt.Errorf("%w: smaran at %s: %w; choose another with --listen, such as --listen %s:0", ErrAddress, listen, err, loopback)
	}
	defer l.Close()
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrAddress, err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrAddress, err)
	}
	return net.JoinHostPort(host, port), nil
}

// baseURL is how a client on this machine reaches what listens at address.
func baseURL(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "http://" + address
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = loopback
	}
	return "http://" + net.JoinHostPort(host, port)
}

// probeClient asks starting processes. A connection each, as the one asked may be another process than a moment ago.
func probeClient() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
}

// maxStarting bounds how many pods load their weights at the same time.
func maxStarting() int { return max(4, 2*runtime.NumCPU()) }
