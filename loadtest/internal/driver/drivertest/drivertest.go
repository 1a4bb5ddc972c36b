// Package drivertest is what every driver has to keep, as one suite: run it over each.
package drivertest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/driver"
	"github.com/smaran-v2/smaran/loadtest/internal/scenario"
	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	"github.com/smaran-v2/smaran/services/endpoints"
)

// Case is one driver.
type Case struct {
	Driver driver.Driver
	// Cannot are the kinds of event that this place refuses, with scenario.ErrEvent.
	Cannot []scenario.Kind
	// InPlace is set where a pod that was stopped or rolled out comes back as itself; elsewhere another one takes its place.
	InPlace bool
	// Within bounds each event.
	Within time.Duration
}

// Part is one of the suite.
type Part struct {
	Name string
	// Run brings a fleet of its own up, and takes it down.
	Run func(*testing.T, Case)
}

// pods is how many a fleet starts with.
const pods = 3

// Parts are the whole suite. They are handed out, rather than run, so that each can have a bubble of its own.
func Parts() []Part {
	part := func(name string, test func(*testing.T, bench)) Part {
		return Part{Name: name, Run: func(t *testing.T, c Case) {
			f, err := c.Driver.Up(t.Context(), driver.Spec{Backend: "istio-hash", Pods: pods, Seed: 7})
			require.NoError(t, err)
			test(t, bench{c, f})
			require.NoError(t, f.Down(context.WithoutCancel(t.Context())))
			require.NoError(t, f.Down(context.WithoutCancel(t.Context())), "again")
			require.NoError(t, f.Err(), "it was asked to end")
		}}
	}
	return []Part{
		part("a fleet says what it is", says), part("scaling", scales), part("a kill", kills), part("a stop", stops),
		part("a rollout", rolls), part("a freeze", freezes), part("redis and smaran", others), part("refusals", refuses),
	}
}

type bench struct {
	Case
	fleet driver.Fleet
}

// do wants an event to be done, and gives the pod that it hit. An event that this place can't do has to be refused: one that fails
// otherwise, or takes too long, may have been begun.
func (b bench) do(t *testing.T, text string) (pod string, done bool) {
	t.Helper()
	e, err := scenario.ParseEvent("0s:" + text)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), b.Within)
	defer cancel()
	pod, err = b.fleet.Do(ctx, e)
	if slices.Contains(b.Cannot, e.Kind) {
		require.ErrorIs(t, err, scenario.ErrEvent, text)
		return "", false
	}
	require.NoError(t, err, text)
	return pod, true
}

// now are the endpoints in rotation. It wants the history to be in order.
func (b bench) now(t *testing.T) []*fleetv1.Endpoint {
	t.Helper()
	s, err := b.fleet.Status(t.Context())
	require.NoError(t, err)
	h := s.GetHistory()
	require.NotEmpty(t, h)
	for i, v := range h[1:] {
		require.Greater(t, v.GetVersion(), h[i].GetVersion())
		require.False(t, v.GetWritten().AsTime().Before(h[i].GetWritten().AsTime()))
	}
	var out []*fleetv1.Endpoint
	for _, e := range h[len(h)-1].GetEndpoints() {
		if e.GetHealth() == endpoints.Healthy.String() {
			out = append(out, e)
		}
	}
	return out
}

func names(list []*fleetv1.Endpoint) []string {
	var out []string
	for _, e := range list {
		out = append(out, e.GetPod())
	}
	slices.Sort(out)
	return out
}

func says(t *testing.T, b bench) {
	s, err := b.fleet.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, "istio-hash", s.GetBackend())
	require.Equal(t, "ring", s.GetPolicy())
	require.EqualValues(t, 1024, s.GetRingSize())
	require.NotEmpty(t, s.GetSmaranUrl())
	list := b.now(t)
	require.Len(t, list, pods)
	addresses := map[string]bool{}
	for _, e := range list {
		require.NotEmpty(t, e.GetPod())
		addresses[e.GetAddress()] = true
	}
	require.Len(t, addresses, pods)
}

func scales(t *testing.T, b bench) {
	before := names(b.now(t))
	b.do(t, "scale=5")
	out := names(b.now(t))
	require.Len(t, out, 5)
	require.Subset(t, out, before, "scaling out touches no pod")
	b.do(t, "scale=2")
	require.Len(t, b.now(t), 2)
}

func kills(t *testing.T, b bench) {
	before := b.now(t)
	pod, _ := b.do(t, "kill")
	require.Contains(t, names(before), pod, "the seed chose one")
	require.Equal(t, names(before), names(b.now(t)), "a killed pod comes back as itself")
	other := names(before)[0]
	if other == pod {
		other = names(before)[1]
	}
	pod, _ = b.do(t, "kill="+other)
	require.Equal(t, other, pod)
	require.Len(t, b.now(t), pods)
}

func stops(t *testing.T, b bench) {
	before := names(b.now(t))
	pod, done := b.do(t, "stop")
	if !done {
		return
	}
	after := names(b.now(t))
	require.Contains(t, before, pod)
	b.replaced(t, before, after, pod)
}

func rolls(t *testing.T, b bench) {
	before := names(b.now(t))
	if _, done := b.do(t, "rollout"); !done {
		return
	}
	b.replaced(t, before, names(b.now(t)), before...)
}

// replaced wants as many pods as before, and those that ended to be back, or not.
func (b bench) replaced(t *testing.T, before, after []string, ended ...string) {
	t.Helper()
	if b.InPlace {
		require.Equal(t, before, after)
		return
	}
	require.Len(t, after, pods)
	for _, p := range ended {
		require.NotContains(t, after, p)
	}
}

func freezes(t *testing.T, b bench) {
	pod, done := b.do(t, "freeze")
	if !done {
		return
	}
	require.Contains(t, names(b.now(t)), pod)
	b.do(t, "thaw="+pod)
	ctx, cancel := context.WithTimeout(t.Context(), b.Within)
	defer cancel()
	_, err := b.fleet.Do(ctx, scenario.Event{Kind: scenario.KindThaw, Pod: pod})
	require.Error(t, err, "it is not frozen any more")
}

func others(t *testing.T, b bench) {
	before := b.now(t)
	b.do(t, "redis=down")
	b.do(t, "redis=up")
	b.do(t, "smaran=kill")
	require.Equal(t, names(before), names(b.now(t)), "none of it is a pod's business")
}

func refuses(t *testing.T, b bench) {
	for _, e := range []scenario.Event{
		{Kind: "meteor"}, {Kind: scenario.KindStop, Pod: "nobody"}, {Kind: scenario.KindFreeze, Pod: "nobody"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), b.Within)
		_, err := b.fleet.Do(ctx, e)
		cancel()
		require.Error(t, err, e.Name())
		require.False(t, errors.Is(err, context.DeadlineExceeded), "at once: %v", err)
	}
	require.Len(t, b.now(t), pods, "nothing has happened")
}
