package pace_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/smaran-v2/smaran/services/jarvis/audio/pace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	interval = 20 * time.Millisecond
	slots    = 10
	patience = 20 * time.Second
)

// rig is a wheel on a fake clock.
type rig struct {
	*pace.Wheel
	t     *testing.T
	clock *clockwork.FakeClock
	ctx   context.Context
}

func newRig(t *testing.T, options ...func(*pace.Options)) *rig {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	clock := clockwork.NewFakeClock()
	o := pace.Options{Interval: interval, Slots: slots, Clock: clock}
	for _, f := range options {
		f(&o)
	}
	r := &rig{pace.NewWheel(o), t, clock, ctx}
	t.Cleanup(r.Close)
	return r
}

// pass lets time pass in steps, each once the wheel waits for it.
func (r *rig) pass(total, step time.Duration) {
	for ; total > 0; total -= step {
		require.NoError(r.t, r.clock.BlockUntilContext(r.ctx, 1))
		r.clock.Advance(step)
	}
	require.NoError(r.t, r.clock.BlockUntilContext(r.ctx, 1))
}

// member records when it was ticked, and how late.
type member struct {
	clock clockwork.Clock
	mu    sync.Mutex
	at    []time.Time
	lags  []time.Duration
}

func (m *member) Tick(lag time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.at, m.lags = append(m.at, m.clock.Now()), append(m.lags, lag)
}

func (m *member) ticks() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.at)
}

func TestEveryMemberIsTickedOnceAnInterval(t *testing.T) {
	r := newRig(t)
	members := make([]*member, 25)
	for i := range members {
		members[i] = &member{clock: r.clock}
		r.Add(members[i])
	}
	r.pass(10*interval, interval/slots)
	phases := make(map[time.Duration]int)
	for i, m := range members {
		require.InDelta(t, 10, len(m.at), 1, "member %d", i)
		for j, at := range m.at {
			require.Zero(t, m.lags[j])
			if j > 0 {
				require.Equal(t, interval, at.Sub(m.at[j-1]))
			}
		}
		phases[m.at[0].Sub(members[0].at[0])%interval]++
	}
	require.Len(t, phases, slots, "members spread over the interval")
	for _, n := range phases {
		require.LessOrEqual(t, n, 3)
	}
}

func TestARemovedMemberIsNotTicked(t *testing.T) {
	r := newRig(t)
	stays, goes := &member{clock: r.clock}, &member{clock: r.clock}
	r.Add(stays)
	remove := r.Add(goes)
	r.pass(2*interval, interval/slots)
	remove()
	remove()
	before := goes.ticks()
	r.pass(5*interval, interval/slots)
	require.LessOrEqual(t, goes.ticks(), before+1)
	require.GreaterOrEqual(t, stays.ticks(), 6)
}

// TestAShortStallIsMadeUpFor and the next: what was missed is sent at once up to CatchUp, and left out beyond.
func TestAShortStallIsMadeUpFor(t *testing.T) {
	r := newRig(t)
	m := &member{clock: r.clock}
	r.Add(m)
	r.pass(2*interval, interval)
	before := m.ticks()
	r.pass(4*interval, 4*interval)
	require.Equal(t, 4, m.ticks()-before)
	require.Equal(t, 3*interval, m.lags[before])
}

func TestALongStallIsLeftOut(t *testing.T) {
	var lags []time.Duration
	r := newRig(t, func(o *pace.Options) { o.OnTick = func(lag time.Duration, _ int) { lags = append(lags, lag) } })
	m := &member{clock: r.clock}
	r.Add(m)
	r.pass(2*interval, interval)
	before := m.ticks()
	r.pass(time.Minute, time.Minute)
	require.Equal(t, 1, m.ticks()-before, "no burst of old frames")
	require.Equal(t, time.Minute-interval, m.lags[before])
	require.Equal(t, m.lags, lags, "the lag is reported")
	r.pass(5*interval, interval)
	require.Equal(t, 6, m.ticks()-before, "and then it goes on at its pace")
}

func TestAnEmptyWheelSleeps(t *testing.T) {
	empty := make(chan struct{}, 1)
	r := newRig(t, func(o *pace.Options) {
		o.OnTick = func(_ time.Duration, members int) {
			if members == 0 {
				empty <- struct{}{}
			}
		}
	})
	remove := r.Add(&member{clock: r.clock})
	r.pass(interval, interval)
	remove()
	r.clock.Advance(interval)
	<-empty // the slot it was waiting for; it waits for no other
	r.clock.Advance(time.Hour)

	m := &member{clock: r.clock}
	r.Add(m)
	require.Eventually(t, func() bool { return m.ticks() > 0 }, patience, time.Millisecond)
	m.mu.Lock()
	defer m.mu.Unlock()
	require.Zero(t, m.lags[0], "the time without members is no lag")
}

func TestCloseEndsTheWheel(t *testing.T) {
	r := newRig(t)
	m := &member{clock: r.clock}
	r.Add(m)
	r.pass(interval, interval)
	r.Close()
	r.Close()
	before := m.ticks()
	r.Add(&member{clock: r.clock})
	r.clock.Advance(time.Hour)
	require.Equal(t, before, m.ticks())
}

// BenchmarkTick is the wheel's own cost a member and tick.
func BenchmarkTick(b *testing.B) {
	const members = 200
	clock := clockwork.NewFakeClock()
	ticked := make(chan struct{}, 2*members)
	w := pace.NewWheel(pace.Options{Interval: interval, Slots: 1, Clock: clock, OnTick: func(time.Duration, int) { ticked <- struct{}{} }})
	defer w.Close()
	for range members {
		w.Add(nothing{})
	}
	_ = clock.BlockUntilContext(b.Context(), 1)
	for len(ticked) > 0 {
		<-ticked
	}
	b.ReportAllocs()
	for b.Loop() {
		clock.Advance(interval)
		<-ticked
		_ = clock.BlockUntilContext(b.Context(), 1)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/members, "ns/member")
}

type nothing struct{}

func (nothing) Tick(time.Duration) {}
