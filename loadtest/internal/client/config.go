package client

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/jonboulle/clockwork"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/smaran-v2/smaran/loadtest/internal/tally"
	"github.com/smaran-v2/smaran/services/session"
)

// OnMisroute is what a caller does when an answer shows that its call is elsewhere.
type OnMisroute string

// The two ways.
const (
	// Redial places the call anew, so that it comes to the pod that answers: the story's behaviour, and the default.
	Redial OnMisroute = "redial"
	// Stay leaves the call where it is.
	Stay OnMisroute = "stay"
)

// ErrOnMisroute is returned for another word.
var ErrOnMisroute = errors.New("bad --on-misroute")

// UnmarshalText lets a flag hold an OnMisroute. It fails with ErrOnMisroute.
func (o *OnMisroute) UnmarshalText(text []byte) error {
	switch v := OnMisroute(text); v {
	case Redial, Stay:
		*o = v
		return nil
	default:
		return fmt.Errorf("%w %q: want %s or %s", ErrOnMisroute, text, Redial, Stay)
	}
}

// Recorder takes what happens to a caller. Times count from the start of the run.
type Recorder interface {
	Inference(tally.Inference)
	Occurrence(tally.Occurrence)
	Setup(tally.Setup)
	Loss(call int, at time.Duration)
	Moved(call int, at time.Duration, pod string)
	HungUp(call int, at time.Duration)
	SideError(code string)
}

// Config is one caller's. All fields without "optional" are needed.
type Config struct {
	// Call is the caller's number, from 0.
	Call    int
	Session session.ID
	// Headerless: send no session header. Such a caller can only Infer. Caller.LeaveOut changes it.
	Headerless bool
	// BaseURLs of the coordinators, without a slash at the end, which get the caller's requests in turn. There is one at least.
	BaseURLs []string
	// Transport carries all HTTP; callers may share it. Cookies are each caller's own.
	Transport http.RoundTripper
	Phone     Phone
	Recorder  Recorder
	// OnMisroute, optional: Redial.
	OnMisroute OnMisroute
	// RedialJitter, optional, is the longest that a redial waits; each waits a random part of it, so that the callers of a dead pod do
	// not come to the others all at once.
	RedialJitter time.Duration
	Clock        clockwork.Clock
	// Epoch is the start of the run.
	Epoch time.Time
	// Random jitters waits. It is used by this caller alone.
	Random *rand.Rand
	Log    *slog.Logger
	// Timeouts, optional.
	Timeouts Timeouts
	// Tracer, optional, makes the call's span and one for each request below it; Propagator, with it, sends them along.
	Tracer     trace.TracerProvider
	Propagator propagation.TextMapPropagator
}

// Timeouts of a caller; zero takes the default.
type Timeouts struct {
	// Request bounds one inference, candidate or control message: 10s.
	Request time.Duration
	// Setup bounds one attempt to place a call: 5s.
	Setup time.Duration
	// Dropped is how long media may be away before the call counts as dropped: 10s.
	Dropped time.Duration
}

func (t Timeouts) withDefaults() Timeouts {
	if t.Request == 0 {
		t.Request = 10 * time.Second
	}
	if t.Setup == 0 {
		t.Setup = 5 * time.Second
	}
	if t.Dropped == 0 {
		t.Dropped = 10 * time.Second
	}
	return t
}
