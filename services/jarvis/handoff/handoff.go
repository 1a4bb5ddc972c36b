package handoff

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"connectrpc.com/connect"
	"github.com/jonboulle/clockwork"
	"golang.org/x/sync/singleflight"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/services/jarvis/origin"
	"github.com/smaran-v2/smaran/services/jarvis/state"
	"github.com/smaran-v2/smaran/services/peers"
	"github.com/smaran-v2/smaran/services/session"
)

// Bounds of one exchange with another pod.
const (
	// claimTime is for a question: an owner answers from memory. A frozen one costs a request twice this much, once.
	claimTime = 250 * time.Millisecond
	// lostTime is for a pod that its caller took for lost: it may be frozen, and the caller hears nothing meanwhile.
	lostTime = 100 * time.Millisecond
	// callTime is for a claim with the session's call: the session has to stand still first, which a cold answer delays by a second.
	callTime = 2 * time.Second
	// pushTime is for a copy that is sent, its loading included.
	pushTime = 5 * time.Second
	// archiveTime is for the archive. Redis answers within a millisecond, or is in trouble.
	archiveTime = 50 * time.Millisecond
	// pushesAtOnce to all pods.
	pushesAtOnce = 32
)

// Self is the pod that the package works for.
type Self struct {
	Name, Address string
	// Incarnation is the process's, and the store's.
	Incarnation string
}

// Calls are those that this pod holds.
type Calls interface {
	// Holds is whether the session has a call here.
	Holds(session.ID) bool
	// Moved ends the session's call here, if there is one: it has one at another pod. It returns what the agent was about to say.
	Moved(session.ID) *jarvisv1.Speech
}

// Options of a Handoff. All are needed, except where they say otherwise.
type Options struct {
	Self  Self
	Rings *Rings
	Store *state.Store
	Calls Calls
	// Leaving is whether this pod drains, so that nothing is for it whatever the endpoints say.
	Leaving func() bool
	// Peers is the way to one pod; HTTP carries what goes there, with the options for clients.
	Peers   peers.Way
	HTTP    connect.HTTPClient
	Clients []connect.ClientOption
	// Archive may be nil. It is asked for a session that no pod has, new ones included: their callers need not say that it is not.
	Archive Archive
	// Traces is nil where nothing is traced.
	Traces  *origin.Traces
	Metrics *Metrics
	Clock   clockwork.Clock
	Log     *slog.Logger
}

// Archive keeps conversations outside of pods.
type Archive interface {
	// Load is a conversation as it was last written, and the epoch of who wrote it. It fails with state.ErrUnknown where there is none.
	Load(context.Context, session.ID) (state.Snapshot, uint64, error)
}

// Handoff moves sessions. It is safe for concurrent use.
type Handoff struct {
	Options
	// flights keeps concurrent requests for one session from asking more than once.
	flights singleflight.Group

	mu sync.Mutex
	// sent is what each session's next owner has.
	sent map[session.ID]receipt
}

// New returns a Handoff that does nothing by itself.
func New(o Options) *Handoff {
	return &Handoff{Options: o, sent: map[session.ID]receipt{}}
}

// mine is whether the mesh gives the session to this pod, as far as it knows the endpoints.
func (h *Handoff) mine(id session.ID) bool {
	if h.Leaving() {
		return false
	}
	owner, ok := h.Rings.Owner(id)
	return ok && owner.Address == h.Self.Address
}

// owned is whether this pod owns the session, under a title that nobody is known to be above.
func (h *Handoff) owned(id session.ID, seen uint64) bool {
	kept, ok := h.Store.Find(id)
	return ok && kept.Owner == "" && kept.Epoch > 0 && kept.Epoch >= seen
}

// notOwned is what this pod knows of the owner.
func (h *Handoff) notOwned(id session.ID) error {
	kept, ok := h.Store.Find(id)
	if !ok {
		return state.ErrUnknown
	}
	title := kept.Title
	if title.Owner == "" {
		title.Owner, title.Incarnation = h.Self.Name, h.Self.Incarnation
	}
	return &state.MovedError{Title: title}
}
