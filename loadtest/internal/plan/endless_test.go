package plan_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/smaran-v2/smaran/loadtest/internal/plan"
)

// drawPeriod is one that a caller may have.
func drawPeriod(t *rapid.T, label string) time.Duration {
	return time.Duration(rapid.IntRange(20, 5000).Draw(t, label)) * time.Millisecond
}

// TestAPlanIsTheBeginningOfSchedulesWithoutAnEnd lets a schedule run on past the plan's end, from where its draws began.
func TestAPlanIsTheBeginningOfSchedulesWithoutAnEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := plan.Load{
			Calls: rapid.IntRange(1, 8).Draw(t, "calls"), Rate: rapid.Float64Range(0.5, 50).Draw(t, "rate"),
			Warmup:   time.Duration(rapid.IntRange(0, 3000).Draw(t, "warm-up ms")) * time.Millisecond,
			Duration: time.Duration(rapid.IntRange(1, 20000).Draw(t, "duration ms")) * time.Millisecond, Seed: rapid.Uint64().Draw(t, "seed"),
		}
		p, err := plan.New(l)
		require.NoError(t, err)
		planned := map[int]map[plan.Kind][]time.Duration{}
		for _, a := range p.Actions {
			if planned[a.Call] == nil {
				planned[a.Call] = map[plan.Kind][]time.Duration{}
			}
			planned[a.Call][a.Kind] = append(planned[a.Call][a.Kind], a.At)
		}
		period, err := plan.Period(l.Calls, l.Rate)
		require.NoError(t, err)
		end := l.Warmup + l.Duration
		source := rand.NewPCG(l.Seed, 0x706c616e) // "plan"
		for call, start := range p.Starts {
			for _, of := range []struct {
				kind          plan.Kind
				after, period time.Duration
			}{{plan.Trickle, time.Second, 5 * time.Second}, {plan.Control, 2 * time.Second, 5 * time.Second}, {plan.Infer, 0, period}} {
				fork := *source
				endless := plan.NewSchedule(rand.New(&fork), start+of.after, of.period)
				var before []time.Duration
				for {
					at, ok := endless.Next(math.MaxInt64)
					require.True(t, ok)
					if at >= end {
						break
					}
					before = append(before, at)
				}
				requireBeginning(t, planned[call][of.kind], before, end-of.period/4)
				for s, ok := plan.NewSchedule(rand.New(source), start+of.after, of.period), true; ok; {
					_, ok = s.Next(end)
				}
			}
		}
	})
}

// requireBeginning wants all that is due before a time, and nothing else but what follows on it: what would come after the end of a plan
// is not moved into it.
func requireBeginning(t require.TestingT, got, all []time.Duration, before time.Duration) {
	require.LessOrEqual(t, len(got), len(all))
	for i, at := range all {
		if i < len(got) {
			require.Equal(t, at, got[i])
		} else {
			require.GreaterOrEqual(t, at, before)
		}
	}
}

func TestAnEndlessCallerAsksWhenOneOfAPlanWould(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed, call := rapid.Uint64().Draw(t, "seed"), rapid.IntRange(0, 50).Draw(t, "call")
		rate := rapid.Float64Range(0.2, 50).Draw(t, "rate")
		p, err := plan.New(plan.Load{Calls: 1, Rate: rate, Duration: 20 * time.Second, Seed: seed + uint64(call), Headerless: true})
		require.NoError(t, err)
		period, err := plan.Period(1, rate)
		require.NoError(t, err)
		a := plan.NewEndless(seed, 0).Agenda(call, 0, period)
		for _, want := range p.Actions {
			got := a.Next()
			for got.Kind != plan.Infer {
				got = a.Next()
			}
			require.Equal(t, plan.Action{At: want.At, Call: call, Kind: plan.Infer}, got)
		}
		for a.Due() < 20*time.Second-period/4 {
			require.NotEqual(t, plan.Infer, a.Next().Kind, "and the plan has all of them")
		}
	})
}

// TestTheSameTakeIsTheSameInEveryLane has two lanes that are told of a new pace at slightly different times: they draw the same.
func TestTheSameTakeIsTheSameInEveryLane(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed, take := rapid.Uint64().Draw(t, "seed"), rapid.Uint32Range(0, 9).Draw(t, "take")
		a, b := plan.NewEndless(seed, take), plan.NewEndless(seed, take)
		require.Equal(t, a.Sessions(20), b.Sessions(30)[:20])
		require.NotEqual(t, a.Sessions(1), plan.NewEndless(seed, take+1).Sessions(1), "another take has others")

		first, second := drawPeriod(t, "period"), drawPeriod(t, "new period")
		call, from := rapid.IntRange(0, 50).Draw(t, "call"), time.Duration(rapid.IntRange(0, 2000).Draw(t, "from ms"))*time.Millisecond
		told := time.Duration(rapid.IntRange(0, 10000).Draw(t, "told ms")) * time.Millisecond
		skew := time.Duration(rapid.IntRange(0, 20).Draw(t, "skew ms")) * time.Millisecond
		ask := func(e plan.Endless, told time.Duration) []time.Duration {
			agenda := e.Agenda(call, from, first)
			var out []time.Duration
			for repaced := false; len(out) < 20; {
				if !repaced && agenda.Due() > told {
					agenda.Repace(told, second)
					repaced = true
				}
				if next := agenda.Next(); next.Kind == plan.Infer {
					out = append(out, next.At)
				}
			}
			return out
		}
		one, other := ask(a, told), ask(b, told+skew)
		slope := 1 + float64(second)/float64(first)
		for i := range one {
			require.InDelta(t, one[i], other[i], float64(skew)*slope+float64(time.Microsecond))
		}
		require.Equal(t, one, ask(b, told), "at the same time the same")
	})
}

func TestTakesHaveTheSessionsOfAPlan(t *testing.T) {
	require.Equal(t, plan.Sessions(7, 5), plan.NewEndless(7, 0).Sessions(5))
}

func TestANewPaceBringsNeitherABurstNorAPause(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, after := drawPeriod(t, "before"), drawPeriod(t, "after")
		told := time.Duration(rapid.IntRange(0, 20000).Draw(t, "told ms")) * time.Millisecond
		agenda := plan.NewEndless(rapid.Uint64().Draw(t, "seed"), 0).Agenda(0, 0, before)
		var last time.Duration
		for agenda.Due() <= told {
			if next := agenda.Next(); next.Kind == plan.Infer {
				last = next.At
			}
		}
		agenda.Repace(told, after)
		for n := 0; n < 10; {
			next := agenda.Next()
			if next.Kind != plan.Infer {
				continue
			}
			if n > 0 {
				require.InDelta(t, after, next.At-last, float64(after)/2+float64(2*time.Millisecond))
			} else {
				// A period away at most, by the longer one, and a half of it for being moved.
				require.LessOrEqual(t, next.At-max(last, told), max(before, after)*3/2+time.Millisecond)
				require.Greater(t, next.At, told)
			}
			last = next.At
			n++
		}
	})
}

func TestPeriodRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		calls int
		rate  float64
	}{
		"no calls": {0, 1}, "no rate": {1, 0}, "not a number": {1, math.NaN()}, "more than a caller can ask": {2, 2001},
		"next to nothing": {1, 1e-9}, "without end": {1, math.Inf(1)},
	} {
		_, err := plan.Period(c.calls, c.rate)
		require.ErrorIs(t, err, plan.ErrLoad, name)
	}
	period, err := plan.Period(24, 36)
	require.NoError(t, err)
	require.InDelta(t, time.Second*2/3, period, 1)
}

func TestManyCallsTakeNoLongerToPlace(t *testing.T) {
	require.Equal(t, 50*time.Millisecond, plan.Spacing(24))
	require.Equal(t, 10*time.Millisecond, plan.Spacing(1000))
	require.Equal(t, 50*time.Millisecond, plan.Spacing(0))
}
