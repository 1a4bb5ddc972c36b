package meter_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/services/stage/director/meter"
	"github.com/smaran-v2/smaran/services/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func at(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }

func filled(m *meter.Meter) *stagev1.Meters {
	out := &stagev1.Meters{}
	m.Fill(out)
	return out
}

func TestNothingIsShownOfWhatWasNotMeasured(t *testing.T) {
	m := meter.New()
	m.Advance(at(5), false)
	m.Answered(at(5), time.Second)
	require.Empty(t, filled(m).GetCounts())
	require.Nil(t, filled(m).InferenceP50Ms)
	require.Empty(t, m.Points(at(100)))
	m.Advance(at(6), true)
	require.NotContains(t, m.Names(), wire.CountDroppedCalls)
	m.CallsUp(1)
	require.Contains(t, m.Names(), wire.CountDroppedCalls)
	m.CallsUp(0)
	require.Contains(t, m.Names(), wire.CountDroppedCalls, "it was measured")
	m.Count(at(6), "made_up")
	require.NotContains(t, m.Names(), "made_up")
}

// The percentiles are those of the last ten seconds, to three digits, and absent where there are too few values.
func TestPercentilesAreOfTheLastTenSeconds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := meter.New()
		var recent []time.Duration
		end := rapid.IntRange(0, 30).Draw(t, "end")
		for second := range end + 1 {
			m.Advance(at(float64(second)), true)
			for range rapid.IntRange(0, 6).Draw(t, "answers") {
				latency := time.Duration(rapid.IntRange(1, 5_000_000).Draw(t, "latency")) * time.Microsecond
				m.Answered(at(float64(second)+0.5), latency)
				if second > end-10 {
					recent = append(recent, latency)
				}
			}
		}
		slices.Sort(recent)
		out := filled(m)
		for _, p := range []struct {
			got   *float64
			share float64
			least int
		}{{out.InferenceP50Ms, 0.5, 1}, {out.InferenceP99Ms, 0.99, 10}} {
			if len(recent) < p.least {
				require.Nil(t, p.got)
				continue
			}
			rank := int(p.share*float64(len(recent)) + 0.999999)
			want := float64(recent[rank-1]) / float64(time.Millisecond)
			require.InEpsilon(t, want, *p.got, 0.002)
		}
	})
}

func TestASecondThatNobodyLookedAtIsToldOf(t *testing.T) {
	m := meter.New()
	m.Advance(at(1), true)
	m.Advance(at(4.5), true)
	var seconds []uint32
	for _, p := range m.Points(at(4.5)) {
		seconds = append(seconds, p.GetSecond())
	}
	require.ElementsMatch(t, []uint32{1, 2, 3}, seconds)
	require.Empty(t, m.Points(at(4.6)), "once")
	m.Count(at(2.2), wire.CountMisroutes)
	changed := m.Points(at(4.6))
	require.Len(t, changed, 1)
	require.EqualValues(t, 1, changed[0].GetMisroutes())
}

func TestWhatIsOverForLongCountsOnlyInTheTotal(t *testing.T) {
	m := meter.New()
	for second := range 40 {
		m.Advance(at(float64(second)), true)
		m.Points(at(float64(second)))
	}
	m.Count(at(2), wire.CountRequests)
	m.Sent(at(2), time.Second)
	m.Answered(at(2), time.Second)
	m.Gap(at(2), time.Second)
	require.EqualValues(t, 1, filled(m).GetCounts()[wire.CountRequests])
	require.Nil(t, filled(m).InferenceP50Ms)
	require.Nil(t, m.LateShare())
	for _, p := range m.Points(at(41)) {
		require.GreaterOrEqual(t, p.GetSecond(), uint32(38))
	}
}
