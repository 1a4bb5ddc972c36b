package fleet

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"
	"google.golang.org/protobuf/types/known/timestamppb"

	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	"github.com/smaran-v2/smaran/services/endpoints"
)

const (
	// maxHistory bounds the versions that Status tells of; the oldest go first.
	maxHistory = 4096
	// maxBatches is how many quiet periods a batch may last while changes keep coming, as Istio's debounceMax.
	maxBatches = 10
)

// ledger is the endpoints file and its history. Its order is that in which pods joined, those of one version by their number, so
// that it does not depend on who was ready a millisecond earlier.
type ledger struct {
	path    string
	clock   clockwork.Clock
	batch   time.Duration
	written func(error) // called after each attempt to write, without the lock

	kick chan struct{}
	// late is nil without a second file.
	late *lateCopy

	mu      sync.Mutex
	entries []entry
	held    bool
	current *fleetv1.Endpoints
	history []*fleetv1.Endpoints
	failed  error // of the last attempt
}

type entry struct {
	endpoint endpoints.Endpoint
	number   int
	// batch is the version that first lists it.
	batch uint64
}

// newLedger writes the first version, without any endpoint, so that who watches the file finds it.
func newLedger(path string, late *lateCopy, clock clockwork.Clock, batch time.Duration, written func(error)) (*ledger, error) {
	l := &ledger{path: path, clock: clock, batch: batch, written: written, late: late,
		kick: make(chan struct{}, 1), current: &fleetv1.Endpoints{}}
	if err := l.write(); err != nil {
		return nil, err
	}
	return l, nil
}

// run writes what is batched until ctx ends.
func (l *ledger) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.kick:
		}
		if !l.quiet(ctx) {
			return
		}
		_ = l.flush() // whoever waits for the version learns of it
	}
}

// quiet waits until no change has come for one batch time, or until it has lasted too long. False means that ctx ended.
func (l *ledger) quiet(ctx context.Context) bool {
	limit := l.clock.NewTimer(maxBatches * l.batch)
	defer limit.Stop()
	pause := l.clock.NewTimer(l.batch)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-limit.Chan():
			return true
		case <-pause.Chan():
			return true
		case <-l.kick:
			pause.Reset(l.batch)
		}
	}
}

// hold keeps joins back until release, which writes them as one version.
func (l *ledger) hold() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = true
}

func (l *ledger) release() error {
	l.mu.Lock()
	l.held = false
	l.mu.Unlock()
	return l.flush()
}

// join adds a pod to the next batch. One that is listed stays where it is.
func (l *ledger) join(number int, pod, address string) {
	l.mu.Lock()
	if l.find(pod) < 0 {
		l.entries = append(l.entries, l.entry(number, pod, address))
	}
	l.mu.Unlock()
	l.later()
}

// entry is a pod that joins with the next version.
func (l *ledger) entry(number int, pod, address string) entry {
	e := endpoints.Endpoint{Pod: pod, Address: address, Health: endpoints.Healthy}
	return entry{endpoint: e, number: number, batch: l.current.GetVersion() + 1}
}

// lists is whether the pod has a place, written or about to be.
func (l *ledger) lists(pod string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.find(pod) >= 0
}

// holds is whether joins are held back until release.
func (l *ledger) holds() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held
}

// inRotation are the endpoints that get sessions, in their order, once those in joining have joined and those in leaving left.
func (l *ledger) inRotation(joining []*pod, leaving ...string) []endpoints.Endpoint {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := slices.Clone(l.entries)
	for _, p := range joining {
		next = append(next, l.entry(p.number, p.name, p.at.http))
	}
	sortEntries(next)
	var rotation []endpoints.Endpoint
	for _, e := range next {
		if e.endpoint.Health.InRotation() && !slices.Contains(leaving, e.endpoint.Pod) {
			rotation = append(rotation, e.endpoint)
		}
	}
	return rotation
}

// gone removes pods in the next batch.
func (l *ledger) gone(pod string) {
	l.remove(pod)
	l.later()
}

// leave removes a pod at once.
func (l *ledger) leave(pod string) {
	l.remove(pod)
	_ = l.flush() // as in run
}

// drain marks pods DRAINING at once. Those that are not listed stay so.
func (l *ledger) drain(pods ...string) error {
	l.mu.Lock()
	for _, pod := range pods {
		if i := l.find(pod); i >= 0 {
			l.entries[i].endpoint.Health = endpoints.Draining
		}
	}
	l.mu.Unlock()
	return l.flush()
}

func (l *ledger) remove(pod string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := l.find(pod); i >= 0 {
		l.entries = slices.Delete(l.entries, i, i+1)
	}
}

func (l *ledger) find(pod string) int {
	return slices.IndexFunc(l.entries, func(e entry) bool { return e.endpoint.Pod == pod })
}

func (l *ledger) later() {
	select {
	case l.kick <- struct{}{}:
	default: // one is pending
	}
}

// flush writes what has changed.
func (l *ledger) flush() error {
	l.mu.Lock()
	if l.held || !l.differs() {
		l.mu.Unlock()
		return nil
	}
	err := l.write()
	l.mu.Unlock()
	l.written(err)
	return err
}

func (l *ledger) differs() bool {
	return !slices.EqualFunc(l.sorted(), l.current.GetEndpoints(), func(e entry, w *fleetv1.Endpoint) bool {
		return e.endpoint.Pod == w.GetPod() && e.endpoint.Health.String() == w.GetHealth()
	})
}

func (l *ledger) sorted() []entry {
	sortEntries(l.entries)
	return l.entries
}

func sortEntries(entries []entry) {
	slices.SortStableFunc(entries, func(a, b entry) int {
		if a.batch != b.batch {
			return int(a.batch) - int(b.batch)
		}
		return a.number - b.number
	})
}

// write replaces the file. The caller holds the lock, which keeps versions in order; the file is small.
func (l *ledger) write() error {
	version := l.current.GetVersion() + 1
	set := endpoints.Set{Version: strconv.FormatUint(version, 10)}
	next := &fleetv1.Endpoints{Version: version}
	for _, e := range l.sorted() {
		set.Endpoints = append(set.Endpoints, e.endpoint)
		next.Endpoints = append(next.Endpoints, &fleetv1.Endpoint{
			Pod: e.endpoint.Pod, Address: e.endpoint.Address, Health: e.endpoint.Health.String(),
		})
	}
	if l.failed = endpoints.WriteFile(l.path, set); l.failed != nil {
		l.failed = fmt.Errorf("version %d of the endpoints: %w", version, l.failed)
		return l.failed
	}
	now := l.clock.Now()
	next.Written = timestamppb.New(now)
	if l.late != nil {
		l.late.add(set, now)
	}
	if len(l.history) == maxHistory {
		l.history = append(l.history[:0:0], l.history[1:]...)
	}
	l.current, l.history = next, append(l.history, next)
	return nil
}

// health is what the written version says of a pod; Unknown means that it does not list it. It fails as the last attempt to write
// did.
func (l *ledger) health(pod string) (endpoints.Health, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed != nil {
		return endpoints.Unknown, l.failed
	}
	for _, e := range l.current.GetEndpoints() {
		if e.GetPod() != pod {
			continue
		}
		if e.GetHealth() == endpoints.Draining.String() {
			return endpoints.Draining, nil
		}
		return endpoints.Healthy, nil
	}
	return endpoints.Unknown, nil
}

// latest is the written version. Versions are never changed once written.
func (l *ledger) latest() *fleetv1.Endpoints {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.current
}

func (l *ledger) versions() []*fleetv1.Endpoints {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.history)
}
