package scenario

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind names what an event does.
type Kind string

// The kinds of event. Their comments give the grammar after "OFFSET:".
const (
	KindScale   Kind = "scale"   // scale=N, N from 1
	KindKill    Kind = "kill"    // kill, or kill=POD: SIGKILL
	KindStop    Kind = "stop"    // stop, or stop=POD: SIGTERM, and a new pod in its place
	KindFreeze  Kind = "freeze"  // freeze, or freeze=POD: SIGSTOP
	KindThaw    Kind = "thaw"    // thaw (every frozen pod), or thaw=POD: SIGCONT
	KindRollout Kind = "rollout" // rollout: every pod replaced
	KindRedis   Kind = "redis"   // redis=down or redis=up
	KindSmaran  Kind = "smaran"  // smaran=kill
)

// ErrEvent is returned for an event that does not parse, and by a fleet for one that it can't do; the error says what was expected.
var ErrEvent = errors.New("bad event")

// Event is one thing to do to the fleet.
type Event struct {
	// At counts from the start of measuring. It is not negative.
	At   time.Duration
	Kind Kind
	// Pod is the name of the pod to hit; empty lets the fleet's seed choose.
	Pod string
	// Pods is the number to scale to.
	Pods int
	// Up says which way redis goes.
	Up bool
}

// grammar is shown with every error.
const grammar = "OFFSET:scale=N | kill[=POD] | stop[=POD] | freeze[=POD] | thaw[=POD] | rollout | redis=down|up | smaran=kill, " +
	"such as 10s:scale=10"

// ParseEvent reads "10s:scale=10". It fails with ErrEvent.
func ParseEvent(s string) (Event, error) {
	offset, action, ok := strings.Cut(s, ":")
	if !ok {
		return Event{}, fmt.Errorf("%w %q: want %s", ErrEvent, s, grammar)
	}
	at, err := time.ParseDuration(offset)
	if err != nil || at < 0 {
		return Event{}, fmt.Errorf("%w %q: %q is no offset of 0s or more; want %s", ErrEvent, s, offset, grammar)
	}
	name, value, hasValue := strings.Cut(action, "=")
	e := Event{At: at, Kind: Kind(name)}
	if !e.set(value, hasValue) {
		return Event{}, fmt.Errorf("%w %q: want %s", ErrEvent, s, grammar)
	}
	return e, nil
}

// set takes the part after "=", and says whether the kind allows it.
func (e *Event) set(value string, hasValue bool) bool {
	switch e.Kind {
	case KindScale:
		n, err := strconv.ParseUint(value, 10, 16)
		e.Pods = int(n)
		return err == nil && n > 0
	case KindKill, KindStop, KindFreeze, KindThaw:
		e.Pod = value
		return !hasValue || value != ""
	case KindRollout:
		return !hasValue
	case KindRedis:
		e.Up = value == "up"
		return value == "up" || value == "down"
	case KindSmaran:
		return value == "kill"
	default:
		return false
	}
}

// UnmarshalText lets a flag hold an Event. It fails with ErrEvent.
func (e *Event) UnmarshalText(text []byte) error {
	parsed, err := ParseEvent(string(text))
	if err != nil {
		return err
	}
	*e = parsed
	return nil
}

// Name is the event without its offset, such as scale=10 or kill.
func (e Event) Name() string {
	switch {
	case e.Kind == KindScale:
		return fmt.Sprintf("%s=%d", e.Kind, e.Pods)
	case e.Kind == KindRedis && e.Up:
		return "redis=up"
	case e.Kind == KindRedis:
		return "redis=down"
	case e.Kind == KindSmaran:
		return "smaran=kill"
	case e.Pod != "":
		return string(e.Kind) + "=" + e.Pod
	default:
		return string(e.Kind)
	}
}

// String is the form that ParseEvent reads.
func (e Event) String() string { return e.At.String() + ":" + e.Name() }

// Sorted returns the events by offset; those at the same one keep their order.
func Sorted(events []Event) []Event {
	out := slices.Clone(events)
	slices.SortStableFunc(out, func(a, b Event) int { return int(a.At - b.At) })
	return out
}
