package jarvis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/services/jarvis/call"
	"github.com/smaran-v2/smaran/services/jarvis/handoff"
	"github.com/smaran-v2/smaran/services/jarvis/model"
	"github.com/smaran-v2/smaran/services/jarvis/origin"
	"github.com/smaran-v2/smaran/services/jarvis/state"
	"github.com/smaran-v2/smaran/services/jarvis/weights"
	"github.com/smaran-v2/smaran/services/session"
)

// Identity is how a pod is known.
type Identity struct {
	// Name is such as jarvis-2, Address the ip:port under which endpoints list it.
	Name, Address string
	// Incarnation differs between two processes of one name.
	Incarnation string
}

// Options of a Pod. All are needed, except where they say otherwise.
type Options struct {
	Identity Identity
	// WeightsMB is how many MiB Load makes resident; 0 is none.
	WeightsMB int
	Model     *model.Model
	// Sessions are the bounds of what the pod keeps. Clock, Model and Incarnation are the pod's to fill in; OnDropped, if it is set, is
	// told besides the metrics.
	Sessions state.Options
	// MaxCalls is the bound that NewCalls was given, for Status.
	MaxCalls int
	NewCalls NewCalls
	// NewHandoff is nil where the pod keeps what comes to it and gives nothing away.
	NewHandoff NewHandoff
	// Mode says whether a request without a session is refused or served without state.
	Mode  session.Policy
	Clock clockwork.Clock

	Log        *slog.Logger
	Registry   prometheus.Registerer
	Tracer     trace.TracerProvider
	Propagator propagation.TextMapPropagator
}

// Pod is one jarvis instance. Make it with New, give its Handler to a server, Load it, and in the end Drain and Close it. It
// is safe for concurrent use.
type Pod struct {
	identity  Identity
	weightsMB int
	maxCalls  int
	mode      session.Policy
	clock     clockwork.Clock
	log       *slog.Logger
	metrics   *metrics
	tracing   trace.TracerProvider
	traces    *origin.Traces // nil where nothing is traced
	carrier   propagation.TextMapPropagator

	model    *model.Model
	sessions *state.Store
	calls    Calls
	// handoff is nil without one.
	handoff *handoff.Handoff
	// answered is told of each answer that a session has had.
	answered func(session.ID)
	// pins orders settlePin.
	pins sync.Mutex

	// loaded is closed when weights are there.
	loaded  chan struct{}
	weights *weights.Weights
	// draining is closed when Drain begins.
	draining chan struct{}
	drain    sync.Once
	// deadline is when the drain cuts calls; nil before it begins.
	deadline atomic.Pointer[time.Time]
	// offering counts offers that got past the check of draining and have not returned.
	offering atomic.Int64
	// ended holds a token when calls or offers ended since Drain last looked.
	ended chan struct{}
	// onState is told when State changes.
	onState func()
	// strangers counts requests served without a session.
	strangers atomic.Uint64
}

// tracerName is this package's, as OpenTelemetry wants it.
const tracerName = "github.com/smaran-v2/smaran/services/jarvis"

// New makes a pod whose weights are not loaded.
func New(o Options) (*Pod, error) {
	p := &Pod{
		identity: o.Identity, weightsMB: o.WeightsMB, maxCalls: o.MaxCalls, mode: o.Mode,
		clock: o.Clock, log: o.Log, tracing: o.Tracer, carrier: o.Propagator,
		model:  o.Model,
		loaded: make(chan struct{}), draining: make(chan struct{}), ended: make(chan struct{}, 1),
		onState: func() {}, answered: func(session.ID) {},
	}
	keep := o.Sessions
	keep.Clock, keep.Model, keep.Incarnation = o.Clock, o.Model, o.Identity.Incarnation
	keep.Handed = o.NewHandoff != nil
	keep.OnDropped = func(id session.ID, why state.Dropped) {
		p.metrics.dropped.WithLabelValues(string(why)).Inc()
		if o.Sessions.OnDropped != nil {
			o.Sessions.OnDropped(id, why)
		}
	}
	var err error
	if p.traces, err = origin.New(o.Tracer, tracerName); err != nil {
		return nil, err
	}
	if p.sessions, err = state.New(keep); err != nil {
		return nil, err
	}
	if p.calls, err = o.NewCalls(Hooks{Respond: p.respond, OnMedia: p.takeOver, OnEnd: p.callEnded}); err != nil {
		return nil, fmt.Errorf("start calls: %w", err)
	}
	if o.NewHandoff != nil {
		p.handoff = o.NewHandoff(p.sessions, p.calls, p.isDraining)
		p.handoff.Traces = p.traces
	}
	p.metrics = newMetrics(o.Registry, p.sessions.Len, p.calls.Count, p.drainLeft)
	return p, nil
}

// OnState has f told whenever State has changed. Set it before Load and Drain; f must not block.
func (p *Pod) OnState(f func()) { p.onState = f }

// OnAnswer has f told of each answer that a session has had. Set it before the pod serves; f must not block.
func (p *Pod) OnAnswer(f func(session.ID)) { p.answered = f }

// Snapshot is a session's conversation as it is now, with its title. It fails with state.ErrUnknown.
func (p *Pod) Snapshot(id session.ID) (state.Snapshot, state.Title, error) {
	return p.sessions.Snapshot(id)
}

// Load makes the weights resident; requests wait for it. Call it once.
func (p *Pod) Load(ctx context.Context) error {
	start := p.clock.Now()
	loaded, err := weights.Load(ctx, p.weightsMB)
	if err != nil {
		return err
	}
	p.weights = loaded
	close(p.loaded)
	p.onState()
	p.log.InfoContext(ctx, "weights loaded", "mb", loaded.Megabytes(), "took", p.clock.Since(start))
	return nil
}

// Ready is ErrStarting until the weights are loaded, and then nil for good: a pod that drains stays ready, because an
// endpoint that terminates without serving is dropped by the mesh at once, calls and all.
func (p *Pod) Ready() error {
	select {
	case <-p.loaded:
		return nil
	default:
		return ErrStarting
	}
}

// State is what Status and the lease publish.
func (p *Pod) State() jarvisv1.PodState {
	switch {
	case p.isDraining():
		return jarvisv1.PodState_POD_STATE_DRAINING
	case p.Ready() != nil:
		return jarvisv1.PodState_POD_STATE_STARTING
	}
	return jarvisv1.PodState_POD_STATE_READY
}

// Close ends what calls there are. Serve no request after it.
func (p *Pod) Close(ctx context.Context) error {
	if err := p.calls.Close(ctx); err != nil {
		return fmt.Errorf("close calls: %w", err)
	}
	return nil
}

// Supersede notes that another pod owns a session under the given epoch.
func (p *Pod) Supersede(id session.ID, owner string, epoch uint64) {
	p.sessions.Supersede(id, owner, epoch)
}

func (p *Pod) isDraining() bool {
	select {
	case <-p.draining:
		return true
	default:
		return false
	}
}

// awaitWeights lets a request through once the pod can compute.
func (p *Pod) awaitWeights(ctx context.Context) error {
	select {
	case <-p.loaded:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrStarting, ctx.Err())
	}
}

// hold is the store's, with refusals counted.
func (p *Pod) hold(id session.ID, epoch uint64) (*state.Session, func(), error) {
	if p.handoff != nil {
		return p.sessions.HoldOwned(id)
	}
	held, release, err := p.sessions.Hold(id, epoch)
	return held, release, p.counted(err)
}

// onCall checks that the session's call is here and that the request's epoch has not passed.
func (p *Pod) onCall(id session.ID, epoch uint64) error {
	if err := p.counted(p.sessions.Fence(id, epoch)); err != nil {
		return err
	}
	if !p.calls.Holds(id) {
		return p.notHeld(id)
	}
	return nil
}

func (p *Pod) counted(err error) error {
	if errors.Is(err, state.ErrStaleEpoch) {
		p.metrics.fenced.Inc()
	}
	return err
}

// located adds to an error of the calls what this pod knows of the owner.
func (p *Pod) located(id session.ID, err error) error {
	if errors.Is(err, call.ErrNotHeld) {
		return p.notHeld(id)
	}
	return err
}

func (p *Pod) notHeld(id session.ID) error {
	kept, _ := p.sessions.Find(id)
	return &NotHeldError{Owner: kept.Owner, Epoch: kept.Epoch}
}

// served describes the session as it stands; the caller adds what an answer found.
func (p *Pod) served(id session.ID) *jarvisv1.Served {
	kept, _ := p.sessions.Find(id)
	return &jarvisv1.Served{
		Pod: p.identity.Name, Address: p.identity.Address, Incarnation: p.identity.Incarnation,
		Session: id.String(), Turn: kept.At.Turn, Checksum: kept.At.Text(), Epoch: kept.Epoch,
		CallHeld: p.calls.Holds(id),
	}
}

// parseEpoch reads the header; empty is 0, which is not checked.
func parseEpoch(header string) (uint64, error) {
	if header == "" {
		return 0, nil
	}
	epoch, err := strconv.ParseUint(header, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: epoch %q: expected a whole number, 0 to %d", ErrBadRequest, header, uint64(maxEpoch))
	}
	return believable(epoch)
}

// maxEpoch leaves room above what a caller may claim to have seen: pods go on from there, one at a time.
const maxEpoch = 1 << 62

// believable checks an epoch that a caller names.
func believable(epoch uint64) (uint64, error) {
	if epoch > maxEpoch {
		return 0, fmt.Errorf("%w: epoch %d: expected %d at most", ErrBadRequest, epoch, uint64(maxEpoch))
	}
	return epoch, nil
}
