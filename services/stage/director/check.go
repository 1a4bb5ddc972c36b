package director

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/smaran-v2/smaran/services/stage/venue"
)

// Bounds of an order.
const (
	maxPods  = 240 // the addresses of a fleet on one machine
	maxCalls = 1000
	maxRate  = 1000
	// longestPause is between two requests of one caller: crowds take no order for less.
	longestPause = time.Hour
)

// byCrowd is whether a lane's crowd does it.
func byCrowd(v venue.Verb) bool { return v == venue.Load || v == venue.Header }

// alone is whether nothing else may be done to a lane meanwhile, not even to its crowd.
func alone(v venue.Verb) bool { return v == venue.Backend || v == venue.Reset }

// check fails with ErrOrder where an order can't be meant.
func (o Order) check() error {
	switch o.Verb {
	case venue.Backend:
		if o.Backend == "" {
			return bad("a backend's name", "nothing")
		}
	case venue.Scale:
		if o.Pods < 1 || o.Pods > maxPods {
			return bad(fmt.Sprintf("1 to %d pods", maxPods), o.Pods)
		}
	case venue.Drain, venue.Freeze:
		if o.Pod == "" {
			return bad("the name of the pod to "+string(o.Verb), "none")
		}
	case venue.Load:
		return checkLoad(o.Calls, o.Rate)
	case venue.Kill, venue.Thaw, venue.Rollout, venue.Redis, venue.Smaran, venue.Header, venue.Reset:
	default:
		return bad("a verb such as scale", fmt.Sprintf("%q", o.Verb))
	}
	return nil
}

func checkLoad(calls int, rate float64) error {
	if calls < 0 || calls > maxCalls {
		return bad(fmt.Sprintf("0 to %d calls", maxCalls), calls)
	}
	if math.IsNaN(rate) || rate <= 0 || rate > maxRate {
		return bad(fmt.Sprintf("a rate of more than 0 and at most %d inferences a second, over all calls", maxRate), rate)
	}
	if rate*longestPause.Seconds() < float64(calls) {
		return bad(fmt.Sprintf("an inference of each call every %s at least", longestPause), fmt.Sprintf("%g a second over %d calls", rate, calls))
	}
	return nil
}

func bad(want string, got any) error {
	return fmt.Errorf("%w: expected %s, got %v", ErrOrder, want, got)
}

// name of the order in the scene: in the grammar of --event where that has it.
func (o Order) name() string {
	value := ""
	switch o.Verb {
	case venue.Backend:
		value = o.Backend
	case venue.Scale:
		value = fmt.Sprint(o.Pods)
	case venue.Kill, venue.Drain, venue.Freeze, venue.Thaw:
		value = o.Pod
	case venue.Redis:
		value = map[bool]string{true: "up", false: "down"}[o.Up]
	case venue.Smaran:
		value = "kill"
	case venue.Load:
		value = fmt.Sprintf("%d@%g", o.Calls, o.Rate)
	case venue.Header:
		value = map[bool]string{true: "dropped", false: "sent"}[o.Dropped]
	}
	if value == "" {
		return string(o.Verb)
	}
	return string(o.Verb) + "=" + value
}

// lanesOf are the lanes that an order is for. It fails with venue.ErrUnknown.
func (d *Director) lanesOf(o Order) ([]*lane, error) {
	if len(o.Lanes) == 0 {
		return d.lanes, nil
	}
	var out []*lane
	for _, id := range o.Lanes {
		i := slices.IndexFunc(d.lanes, func(l *lane) bool { return l.info.ID == id })
		if i < 0 {
			return nil, fmt.Errorf("%w lane %q: there are %s", venue.ErrUnknown, id, strings.Join(d.ids(), ", "))
		}
		if !slices.Contains(out, d.lanes[i]) {
			out = append(out, d.lanes[i])
		}
	}
	return out, nil
}

func (d *Director) ids() []string {
	out := make([]string, len(d.lanes))
	for i, l := range d.lanes {
		out[i] = l.info.ID
	}
	return out
}

// refuse fails where a lane can't do it, or not now.
func (l *lane) refuse(o Order) error {
	if !l.can(o.Verb) {
		return fmt.Errorf("%w: %s in lane %s%s", venue.ErrNotHere, o.Verb, l.info.ID, because(l.info.Reason))
	}
	if byCrowd(o.Verb) {
		if !l.hasCrowd() {
			return fmt.Errorf("%w: %s in lane %s: no crowd of callers is there", venue.ErrNotHere, o.Verb, l.info.ID)
		}
	} else if l.info.Fleet == nil && o.Verb != venue.Backend && o.Verb != venue.Reset {
		return fmt.Errorf("%w: %s in lane %s: nobody steers its fleet", venue.ErrNotHere, o.Verb, l.info.ID)
	}
	if o.Verb == venue.Backend && !slices.Contains(l.info.Backends, o.Backend) {
		return fmt.Errorf("%w backend %q: lane %s takes %s", venue.ErrUnknown, o.Backend, l.info.ID, strings.Join(l.info.Backends, ", "))
	}
	if l.busy(o.Verb) {
		return fmt.Errorf("%w: lane %s is at %s", ErrBusy, l.info.ID, l.job.verb)
	}
	return nil
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

// busy is whether what the lane is at has to end first. A reset interrupts what is done to the fleet, unless that leaves no fleet.
func (l *lane) busy(v venue.Verb) bool {
	switch {
	case l.job == nil:
		return false
	case byCrowd(v), v == venue.Reset:
		return alone(l.job.verb)
	default:
		return true
	}
}

// atPods leaves the lanes that have the pod of an order. It fails with venue.ErrUnknown where none has.
func atPods(lanes []*lane, o Order) ([]*lane, error) {
	if o.Pod == "" {
		return lanes, nil
	}
	var out []*lane
	var there []string
	for _, l := range lanes {
		names := l.names()
		if slices.Contains(names, o.Pod) {
			out = append(out, l)
		}
		there = append(there, names...)
	}
	if len(out) == 0 {
		slices.SortFunc(there, byNumber)
		return nil, fmt.Errorf("%w pod %q: there are %s", venue.ErrUnknown, o.Pod, strings.Join(slices.Compact(there), ", "))
	}
	return out, nil
}

// victim is a pod that may be killed in all of several lanes; empty where there is none, and for one lane, whose fleet picks itself.
func (d *Director) victim(lanes []*lane) string {
	if len(lanes) < 2 {
		return ""
	}
	common := lanes[0].ready()
	for _, l := range lanes[1:] {
		there := l.ready()
		common = slices.DeleteFunc(common, func(name string) bool { return !slices.Contains(there, name) })
	}
	if len(common) == 0 {
		return ""
	}
	return common[d.random.IntN(len(common))]
}
