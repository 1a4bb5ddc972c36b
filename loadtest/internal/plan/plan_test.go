package plan_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/smaran-v2/smaran/loadtest/internal/plan"
	"github.com/smaran-v2/smaran/services/session"
)

func load() plan.Load {
	return plan.Load{Calls: 20, Rate: 30, Warmup: 3 * time.Second, Duration: 17 * time.Second, Seed: 7}
}

func TestTheSeedDecidesEverything(t *testing.T) {
	a, err := plan.New(load())
	require.NoError(t, err)
	b, err := plan.New(load())
	require.NoError(t, err)
	require.Equal(t, a, b)

	other := load()
	other.Seed = 8
	c, err := plan.New(other)
	require.NoError(t, err)
	require.NotEqual(t, a.Sessions, c.Sessions)
	require.NotEqual(t, a.Actions, c.Actions)
}

func TestSessionsAreValidAndDistinct(t *testing.T) {
	ids := plan.Sessions(1, 2000)
	for _, id := range ids {
		_, err := session.Parse(string(id))
		require.NoError(t, err)
	}
	slices.Sort(ids)
	require.Len(t, slices.Compact(ids), 2000)
	require.Equal(t, plan.Sessions(1, 10), plan.Sessions(1, 20)[:10], "more callers leave the first ones as they are")
}

func TestEachCallerKeepsItsPeriod(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := plan.Load{
			Calls: rapid.IntRange(1, 30).Draw(t, "calls"), Rate: rapid.Float64Range(0.5, 200).Draw(t, "rate"),
			Warmup:   time.Duration(rapid.IntRange(0, 5000).Draw(t, "warm-up ms")) * time.Millisecond,
			Duration: time.Duration(rapid.IntRange(1, 20000).Draw(t, "duration ms")) * time.Millisecond, Seed: rapid.Uint64().Draw(t, "seed"),
			CallRate: rapid.SampledFrom([]float64{0, 1, 50}).Draw(t, "call rate"),
		}
		p, err := plan.New(l)
		require.NoError(t, err)
		require.True(t, slices.IsSortedFunc(p.Actions, func(a, b plan.Action) int { return int(a.At - b.At) }))
		period := time.Duration(float64(l.Calls) / l.Rate * float64(time.Second))
		last := make(map[int]time.Duration)
		placed := make(map[int]int)
		for _, a := range p.Actions {
			require.GreaterOrEqual(t, a.At, p.Starts[a.Call], "nothing before the call")
			if a.Kind == plan.Place {
				placed[a.Call]++
				continue
			}
			require.Less(t, a.At, l.Warmup+l.Duration)
			if a.Kind != plan.Infer {
				continue
			}
			if at, ok := last[a.Call]; ok {
				require.InDelta(t, period, a.At-at, float64(period)/2+float64(2*time.Millisecond))
			}
			last[a.Call] = a.At
		}
		for call := range l.Calls {
			require.Equal(t, 1, placed[call])
		}
	})
}

func TestTheRateIsKept(t *testing.T) {
	l := load()
	l.Duration = 100 * time.Second
	p, err := plan.New(l)
	require.NoError(t, err)
	require.InDelta(t, 30*100, p.Requests(), 30)
}

func TestHeaderlessCallersPlaceNoCall(t *testing.T) {
	l := load()
	l.Headerless = true
	p, err := plan.New(l)
	require.NoError(t, err)
	require.NotEmpty(t, p.Actions)
	for _, a := range p.Actions {
		require.Equal(t, plan.Infer, a.Kind)
	}
	require.Zero(t, p.CallMinutes(l.Warmup+l.Duration))
}

func TestCallMinutesCountFromTheEndOfTheWarmup(t *testing.T) {
	p, err := plan.New(load())
	require.NoError(t, err)
	require.InDelta(t, 20*17.0/60, p.CallMinutes(20*time.Second), 1e-9)
	require.InDelta(t, 20*5.0/60, p.CallMinutes(8*time.Second), 1e-9, "of a run that ended early")

	slow := load()
	slow.CallRate, slow.Warmup = 1, 0 // the last of 20 starts at 19 s
	p, err = plan.New(slow)
	require.NoError(t, err)
	require.InDelta(t, (20*20-190)/60.0, p.CallMinutes(20*time.Second), 1e-9)
}

func TestNewRefuses(t *testing.T) {
	for name, spoil := range map[string]func(*plan.Load){
		"no calls":                   func(l *plan.Load) { l.Calls = 0 },
		"no rate":                    func(l *plan.Load) { l.Rate = 0 },
		"negative ramp":              func(l *plan.Load) { l.CallRate = -1 },
		"negative warm-up":           func(l *plan.Load) { l.Warmup = -1 },
		"no duration":                func(l *plan.Load) { l.Duration = 0 },
		"more than a caller can ask": func(l *plan.Load) { l.Rate = 1000*float64(l.Calls) + 1 },
	} {
		l := load()
		spoil(&l)
		_, err := plan.New(l)
		require.ErrorIs(t, err, plan.ErrLoad, name)
	}
}
