package driver

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/smaran-v2/smaran/loadtest/internal/scenario"
	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/smaran/backend"
)

// Spec is the fleet that a run needs.
type Spec struct {
	// Backend as on the command line: a name, or name:policy.
	Backend string
	Pods    int
	// Mesh is go or envoy; Redis is auto, real or embedded. Empty takes the fleet's default.
	Mesh, Redis string
	// Seed makes the fleet's own choices repeat: which pod a kill hits, the simulated model's times.
	Seed uint64
	// Lenient fleets accept requests without a session header.
	Lenient bool
	// SessionStore is where pods that hand their sessions over keep conversations besides: none or redis; empty is none.
	SessionStore string
	// SecondWay, above 0, runs a second coordinator and mesh that learn of the endpoints so much later. On one machine only.
	SecondWay time.Duration
	// Grace is how long a pod that was told to end may take to end its calls; 0 takes DrainTimeout.
	Grace time.Duration
}

// HandsOver is whether the fleet's pods hand their sessions over.
func (s Spec) HandsOver() bool {
	name, _ := SplitBackend(s.Backend)
	return name == string(backend.Handoff)
}

// DrainTime is the grace that the fleet's pods get.
func (s Spec) DrainTime() time.Duration { return cmp.Or(s.Grace, DrainTimeout) }

// SessionMode is what the fleet's services are told of requests without a session header.
func (s Spec) SessionMode() session.Policy {
	if s.Lenient {
		return session.Lenient
	}
	return session.Strict
}

// DrainTimeout is how long a jarvis pod that was told to end may take to end its calls, unless a spec says otherwise. Every driver sets it,
// so that their runs compare.
const DrainTimeout = 5 * time.Second

// SplitBackend takes name:policy apart; policy is empty where the backend's default applies.
func SplitBackend(backend string) (name, policy string) {
	name, policy, _ = strings.Cut(backend, ":")
	return name, policy
}

// Driver starts fleets.
type Driver interface {
	// Name is the driver's, as given to --driver.
	Name() string
	// Up starts a fleet and returns when it is ready. The fleet lives until Down, whatever becomes of ctx.
	Up(ctx context.Context, s Spec) (Fleet, error)
}

// Fleet is a running one.
type Fleet interface {
	// Status is what the fleet says of itself, with all versions of its endpoints.
	Status(ctx context.Context) (*fleetv1.StatusResponse, error)
	// Do does one thing to the fleet, and returns when it is complete, with the name of the pod that it hit, if any.
	Do(ctx context.Context, e scenario.Event) (pod string, err error)
	// Died is closed if the fleet ends by itself; Err then says how.
	Died() <-chan struct{}
	Err() error
	// Down ends the fleet and returns when nothing of it is left. It may be called again.
	Down(ctx context.Context) error
}

// Errors of drivers; they come wrapped with what happened.
var (
	// ErrNoFleetProgram is returned where bin/fleet can't be found.
	ErrNoFleetProgram = errors.New("no fleet program")
	// ErrStart is returned for a fleet that did not become ready.
	ErrStart = errors.New("fleet did not start")
	// ErrDied is returned for a fleet that ended by itself.
	ErrDied = errors.New("fleet died")
)
