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

// overhead was measured: three pods are ready in under two seconds, and end in under one.
const overhead = 4 * time.Second

// Catalog lists the scenarios of compare, in the order in which they run.
//
// Each lasts at least eleven seconds beyond the last moment at which it can cost a call its media, so that a call that does not come
// back is seen without media for ten, and counts as dropped (dropped_no_media). That moment is the event itself, but for three: a
// scale-in ends pods after a grace of 5 s, a rollout takes each pod in turn for about 12 s, and an outage ends with Redis coming back.
func Catalog() []Scenario {
	at := func(s int) time.Duration { return time.Duration(s) * time.Second }
	return []Scenario{
		{Name: "steady", Pods: 3, Duration: at(10), Overhead: overhead},
		{Name: "scale-3-10", Pods: 3, Duration: at(15), Overhead: overhead + at(1),
			Events: []Event{{At: at(3), Kind: KindScale, Pods: 10}}},
		{Name: "scale-3-5", Pods: 3, Duration: at(15), Overhead: overhead,
			Events: []Event{{At: at(3), Kind: KindScale, Pods: 5}}},
		{Name: "scale-10-3", Pods: 10, Duration: at(20), Overhead: overhead + at(2),
			Events: []Event{{At: at(3), Kind: KindScale, Pods: 3}}},
		{Name: "kill", Pods: 3, Duration: at(15), Overhead: overhead,
			Events: []Event{{At: at(3), Kind: KindKill}}},
		{Name: "rollout", Pods: 3, Duration: at(26), Overhead: overhead,
			Events: []Event{{At: at(3), Kind: KindRollout}}},
		{Name: "redis-outage", Pods: 3, Duration: at(21), Overhead: overhead,
			Events: []Event{{At: at(4), Kind: KindRedis}, {At: at(9), Kind: KindRedis, Up: true}}},
		{Name: "smaran-kill", Pods: 3, Duration: at(15), Overhead: overhead,
			Events: []Event{{At: at(3), Kind: KindSmaran}}},
		{Name: "no-header", Pods: 3, Duration: at(8), Overhead: overhead, Headerless: true},
	}
}

// Demo is the short script of a first look: a steady part, a kill, and a scale-out, within twenty seconds. It ends too soon
// after its scale-out to show a call without media for ten seconds; such a call counts in calls_down_at_end only.
func Demo() Scenario {
	return Scenario{
		Name: "demo", Pods: 3, Duration: 17 * time.Second, Overhead: overhead,
		Events: []Event{
			{At: 4 * time.Second, Kind: KindKill},
			{At: 10 * time.Second, Kind: KindScale, Pods: 10},
		},
	}
}

// Find returns the named scenarios in the catalog's order, all of them where names is empty. It fails with ErrScenario.
func Find(names []string) ([]Scenario, error) {
	if len(names) == 0 {
		return Catalog(), nil
	}
	wanted := map[string]bool{}
	for _, n := range names {
		wanted[n] = true
	}
	var known []string
	var out []Scenario
	for _, s := range Catalog() {
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
