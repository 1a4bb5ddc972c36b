package scenario

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Scenario is a named script: a fleet, and what happens to it while it is under load.
type Scenario struct {
	Name string
	// Pods the fleet starts with.
	Pods int
	// Duration of the measured part, long enough for the fleet to settle after the last event.
	Duration time.Duration
	// Events in the order of their offsets.
	Events []Event
	// Headerless callers send no x-call-session-id, to a fleet whose session mode is lenient, and place no call.
	Headerless bool
	// Overhead is how long the fleet takes to come up and go, for estimates only.
	Overhead time.Duration
}

// ErrScenario is returned for a name that is not in the catalog.
var ErrScenario = errors.New("unknown scenario")

// Catalog lists the scenarios of compare, in the order in which they run. How long one with events lasts depends on the pace of
// the place: until a call that the last event cost its media is known to be dropped.
func Catalog(p Pace) []Scenario {
	at := func(s int) time.Duration { return time.Duration(s) * time.Second }
	out := []Scenario{
		{Name: "steady", Pods: 3, Duration: at(10), Overhead: p.Overhead},
		{Name: "scale-3-10", Pods: 3, Events: []Event{{At: at(3), Kind: KindScale, Pods: 10}}},
		{Name: "scale-3-5", Pods: 3, Events: []Event{{At: at(3), Kind: KindScale, Pods: 5}}},
		{Name: "scale-10-3", Pods: 10, Events: []Event{{At: at(3), Kind: KindScale, Pods: 3}}},
		{Name: "kill", Pods: 3, Events: []Event{{At: at(3), Kind: KindKill}}},
		{Name: "freeze", Pods: 3, Events: []Event{{At: at(3), Kind: KindFreeze}}},
		{Name: "rollout", Pods: 3, Events: []Event{{At: at(3), Kind: KindRollout}}},
		// Redis is gone for long enough that the fleet is seen without it.
		{Name: "redis-outage", Pods: 3, Events: []Event{{At: at(4), Kind: KindRedis}, {At: at(9) + p.Redis, Kind: KindRedis, Up: true}}},
		{Name: "smaran-kill", Pods: 3, Events: []Event{{At: at(3), Kind: KindSmaran}}},
		{Name: "no-header", Pods: 3, Duration: at(8), Overhead: p.Overhead, Headerless: true},
	}
	for i, s := range out {
		if len(s.Events) > 0 {
			out[i] = p.lasting(s)
		}
	}
	return out
}

// Demo is the short script of a first look: a steady part, a kill, and a scale-out, within twenty seconds on one machine. It ends too
// soon after its scale-out to show a call without media for ten seconds; such a call counts in calls_down_at_end only.
func Demo(p Pace) Scenario {
	return Scenario{
		Name: "demo", Pods: 3, Duration: 17*time.Second + p.Recover + p.Join*7, Overhead: p.Overhead,
		Events: []Event{
			{At: 4 * time.Second, Kind: KindKill},
			{At: 10 * time.Second, Kind: KindScale, Pods: 10},
		},
	}
}

// Find returns the named scenarios in the catalog's order, all of them where names is empty. It fails with ErrScenario.
func Find(names []string, p Pace) ([]Scenario, error) {
	if len(names) == 0 {
		return Catalog(p), nil
	}
	wanted := map[string]bool{}
	for _, n := range names {
		wanted[n] = true
	}
	var known []string
	var out []Scenario
	for _, s := range Catalog(p) {
		known = append(known, s.Name)
		if wanted[s.Name] {
			out = append(out, s)
			delete(wanted, s.Name)
		}
	}
	for n := range wanted {
		return nil, fmt.Errorf("%w %q: use some of %s", ErrScenario, n, strings.Join(known, ", "))
	}
	return out, nil
}
