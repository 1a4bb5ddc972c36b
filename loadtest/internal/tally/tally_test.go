package tally_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/smaran-v2/smaran/loadtest/internal/tally"
)

const (
	second      = time.Second
	millisecond = time.Millisecond
)

func TestCountsAreOfTheirTimeOnly(t *testing.T) {
	r := tally.Records{
		Occurrences: []tally.Occurrence{
			{At: second, Class: tally.Misroute},
			{At: 3 * second, Class: tally.Misroute},
			{At: 4 * second, Class: tally.DroppedNoMedia},
			{At: 4 * second, Class: tally.DroppedStateLost},
			{At: 4 * second, Class: tally.StateLost},
			{At: 10 * second, Class: tally.Misroute}, // the end is outside
			{At: second, Class: tally.SetupFailure},
			{At: 5 * second, Class: tally.SetupFailure},
		},
		Inferences: []tally.Inference{
			{Intended: second, State: tally.Cold, First: true},
			{Intended: 3 * second, State: tally.Cold, First: true},
			{Intended: 3 * second, State: tally.Cold},
			{Intended: 3 * second, State: tally.Warm, Misrouted: true},
			{Intended: second, State: tally.Warm, Misrouted: true},
			{Intended: 3 * second, State: tally.Failed, Error: "no_pods"},
			{Intended: 9 * second, Done: 12 * second, State: tally.Cold}, // counts by when it was due
			{Intended: 11 * second, State: tally.Cold},
		},
		SideErrors: map[string]uint64{"no_pods": 2},
	}
	got := tally.Counts(r, 2*second, 10*second, true)
	for name, want := range map[string]uint64{
		"misroutes": 1, "dropped_calls": 1, "dropped_no_media": 1, "dropped_state_lost": 1, "state_lost": 1, "setup_failures": 1,
		"cold_starts": 2, "first_loads": 1, "requests_failed": 1, "renegotiations": 0, "migrations": 0, "unspoken": 0, "misrouted_requests": 1, "calls_down_at_end": 0,
		"signal_reconnects": 0, "media_interruptions": 0, "forwards": 0, "gaps_over_60ms": 0, "gaps_over_1s": 0,
	} {
		n, ok := got[name]
		require.True(t, ok, name)
		require.Equal(t, want, n, name)
	}
	require.EqualValues(t, 2, tally.SetupFailures(r, 10*second), "also in the warm-up")
	require.EqualValues(t, 5, tally.Requests(r.Inferences, 2*second, 10*second))
	require.Equal(t, map[string]uint64{"no_pods": 1, "signalling: no_pods": 2}, tally.Errors(r, 2*second, 10*second))
}

func TestEachPlacedCallCountsOnce(t *testing.T) {
	down := func(call int, at time.Duration) tally.Occurrence { return tally.Occurrence{Call: call, At: at} }
	r := tally.Records{
		Setups: []tally.Setup{
			{Call: 0, At: second}, {Call: 0, At: 6 * second}, // lost state and redialled, and dropped again later
			{Call: 1, At: second},                             // down at the end
			{Call: 2, At: second},                             // down before the measured part
			{Call: 3, At: 12 * second},                        // placed after it
			{Call: 4, At: second}, {Call: 4, At: 11 * second}, // up again, but after the end
			{Call: 5, At: second}, // up throughout
		},
		Losses: []tally.Occurrence{down(0, 5*second), down(1, 9*second), down(2, 1500*millisecond), down(4, 4*second), down(5, 10*second)},
		Occurrences: []tally.Occurrence{
			{Call: 0, At: 4 * second, Class: tally.DroppedStateLost}, {Call: 0, At: 5 * second, Class: tally.DroppedNoMedia},
			{Call: 0, At: 7 * second, Class: tally.DroppedStateLost},
			{Call: 1, At: 9 * second, Class: tally.DroppedStateLost},
		},
	}
	got := tally.Counts(r, 2*second, 10*second, true)
	require.EqualValues(t, 3, got["dropped_calls"], "call 0 twice, for both of its calls, and call 1")
	require.EqualValues(t, 3, got["dropped_state_lost"])
	require.EqualValues(t, 1, got["dropped_no_media"])
	require.EqualValues(t, 2, got["calls_down_at_end"], "calls 1 and 4")
	require.EqualValues(t, 5, tally.Placed(r, 2*second, 10*second), "two of caller 0, and those of 1, 4 and 5")
	var shown uint32
	for _, p := range tally.Timeline(r, 2*second, 10*second).GetPoints() {
		shown += uint32(p.GetDropped())
	}
	require.EqualValues(t, 3, shown, "the timeline agrees")
}

func TestWithoutCallsTheirClassesAreNotMeasured(t *testing.T) {
	got := tally.Counts(tally.Records{}, 0, second, false)
	for _, name := range []string{"dropped_calls", "misroutes", "media_interruptions", "renegotiations", "setup_failures", "unspoken", "misrouted_requests", "calls_down_at_end"} {
		require.NotContains(t, got, name)
	}
	require.Contains(t, got, "cold_starts")
	require.Contains(t, got, "state_lost")
}

func TestHistogramsOfWorkersAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var workers []*tally.Recorder
		for range 3 {
			workers = append(workers, tally.NewRecorder(0, time.Hour, nil))
		}
		values := rapid.SliceOfN(rapid.Int64Range(1, 100_000), 1, 300).Draw(t, "µs")
		whole := tally.NewHistogram()
		for i, v := range values {
			d := time.Duration(v) * time.Microsecond
			workers[i%3].Inference(tally.Inference{Intended: 0, Done: d, State: tally.Warm})
			whole.Record(d)
		}
		_, merged := tally.Merge(workers)
		require.Equal(t, whole.Proto().String(), merged["inference_ms"].Proto().String())
	})
}

func TestLatencyCountsFromTheIntendedTime(t *testing.T) {
	r := tally.NewRecorder(0, time.Hour, nil)
	r.Inference(tally.Inference{Intended: second, Sent: 3 * second, Done: 3*second + 100*millisecond, State: tally.Warm})
	_, h := tally.Merge([]*tally.Recorder{r})
	require.InDelta(t, 2100, h["inference_ms"].Proto().GetMax(), 2.1, "the two seconds in which it was not sent are not omitted")
}

func TestTheWarmupIsLeftOutExceptForSetups(t *testing.T) {
	r := tally.NewRecorder(2*second, 10*second, nil)
	r.Inference(tally.Inference{Intended: second, Done: second, State: tally.Warm})
	r.Inference(tally.Inference{Intended: 10 * second, Done: 10 * second, State: tally.Warm})
	r.Gap(tally.Gap{At: second, Duration: second})
	r.Setup(tally.Setup{At: second, Took: 20 * millisecond})
	_, h := tally.Merge([]*tally.Recorder{r})
	require.NotContains(t, h, "inference_ms")
	require.NotContains(t, h, "gap_ms")
	require.EqualValues(t, 1, h["setup_ms"].Count())
}

func TestPercentilesAppearOnceTheyAreSupported(t *testing.T) {
	for count, want := range map[int][]float64{
		0: nil, 1: {50, 75, 90}, 9: {50, 75, 90}, 10: {50, 75, 90, 99}, 99: {50, 75, 90, 99}, 100: {50, 75, 90, 99, 99.9},
	} {
		h := tally.NewHistogram()
		for i := range count {
			h.Record(time.Duration(i+1) * millisecond)
		}
		var got []float64
		for _, p := range h.Proto().GetPercentiles() {
			got = append(got, p.GetPercentile())
		}
		require.Equal(t, want, got, count)
	}
}

func TestBucketsHoldEveryValueOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := tally.NewHistogram()
		values := rapid.SliceOfN(rapid.Int64Range(0, int64(3*time.Minute/time.Microsecond)), 1, 200).Draw(t, "µs")
		for _, v := range values {
			h.Record(time.Duration(v) * time.Microsecond)
		}
		p := h.Proto()
		var sum uint64
		last := 0.0
		for _, b := range p.GetData() {
			require.Less(t, b.GetStart(), b.GetEnd())
			require.GreaterOrEqual(t, b.GetStart(), last, "no overlap")
			last = b.GetEnd() - 1e-9
			sum += b.GetCount()
			require.InDelta(t, 100*float64(sum)/float64(len(values)), b.GetPercent(), 1e-6)
		}
		require.EqualValues(t, len(values), sum)
	})
}

// The golden file was written by this test with -update and checked by hand against the text format of HdrHistogram's
// outputPercentileDistribution.
func TestWriteHGRM(t *testing.T) {
	h := tally.NewHistogram()
	random := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		h.Record(100*millisecond + time.Duration(random.ExpFloat64()*float64(20*millisecond)))
	}
	var got bytes.Buffer
	require.NoError(t, h.WriteHGRM(&got))
	golden := filepath.Join("testdata", "latency.hgrm")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.WriteFile(golden, got.Bytes(), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), got.String())
}

func TestTimeline(t *testing.T) {
	r := tally.Records{
		Inferences: []tally.Inference{
			{Intended: 2100 * millisecond, Done: 2200 * millisecond, State: tally.Warm},
			{Intended: 2200 * millisecond, Done: 3100 * millisecond, State: tally.Cold},
			{Intended: 2240 * millisecond, State: tally.Failed},
			{Intended: second, State: tally.Warm}, // warm-up
		},
		Occurrences: []tally.Occurrence{{At: 2300 * millisecond, Class: tally.Renegotiation}, {At: 2300 * millisecond, Class: tally.DroppedNoMedia}},
		Setups:      []tally.Setup{{At: second, Call: 0}, {At: second, Call: 1}, {At: 2600 * millisecond, Call: 1}},
		Losses:      []tally.Occurrence{{At: 2300 * millisecond, Call: 1}},
		Gaps:        []tally.Gap{{At: 2600 * millisecond, Duration: 300 * millisecond}},
	}
	got := tally.Timeline(r, 2*second, 4*second)
	require.InDelta(t, 250, got.GetBucketMs(), 0)
	require.Len(t, got.GetPoints(), 8)
	first, second, third := got.GetPoints()[0], got.GetPoints()[1], got.GetPoints()[2]
	require.EqualValues(t, 3, first.GetRequests())
	require.EqualValues(t, 1, first.GetCold())
	require.EqualValues(t, 1, first.GetFailed())
	require.InDelta(t, 100, first.GetInferenceP50Ms(), 1e-9)
	require.InDelta(t, 900, first.GetInferenceP99Ms(), 1e-9)
	require.EqualValues(t, 2, first.GetCallsUp())
	require.EqualValues(t, 1, second.GetCallsUp(), "one is lost")
	require.EqualValues(t, 1, second.GetRenegotiations())
	require.EqualValues(t, 1, second.GetDropped())
	require.EqualValues(t, 2, third.GetCallsUp(), "and back")
	require.InDelta(t, 300, third.GetWorstGapMs(), 1e-9)
	require.EqualValues(t, 1, third.GetSetups())

	long := tally.Timeline(tally.Records{}, 0, time.Hour)
	require.LessOrEqual(t, len(long.GetPoints()), 240, "a long run has wider buckets")
}

func TestSplitGapsTakesTheLongestOfEachCallAndSpan(t *testing.T) {
	r := tally.Records{
		Occurrences: []tally.Occurrence{{At: 5 * second, Call: 0, Class: tally.Renegotiation}},
		Gaps: []tally.Gap{
			{Call: 0, At: second, Duration: 900 * millisecond}, // before the event
			{Call: 0, At: 5 * second, Duration: 130 * millisecond}, {Call: 0, At: 6 * second, Duration: 25 * millisecond},
			{Call: 1, At: 5 * second, Duration: 30 * millisecond}, {Call: 1, At: 6 * second, Duration: 40 * millisecond},
			{Call: 0, At: 9 * second, Duration: 50 * millisecond}, // the next event's
		},
	}
	moved, unmoved := tally.SplitGaps(r, []tally.Span{{From: 4 * second, To: 8 * second}, {From: 8 * second, To: 12 * second}})
	require.EqualValues(t, 1, moved.Count())
	require.InDelta(t, 130, tally.Millis(moved.Max()), 0.2)
	require.EqualValues(t, 2, unmoved.Count(), "call 1 in the first span, call 0 in the second")
	require.InDelta(t, 50, tally.Millis(unmoved.Max()), 0.1)
}

func TestPodLoads(t *testing.T) {
	got := tally.PodLoads(tally.Records{
		Inferences: []tally.Inference{
			{Call: 0, Intended: second, State: tally.Warm, Pod: "jarvis-10", Address: "a10"},
			{Call: 1, Intended: second, State: tally.Warm, Pod: "jarvis-2", Address: "a2"},
			{Call: 1, Intended: second, State: tally.Warm, Pod: "jarvis-2", Address: "a2"},
			{Call: 2, Intended: second, State: tally.Failed},
			{Call: 3, Intended: 9 * second, State: tally.Warm, Pod: "jarvis-3", Address: "a3"},
		},
		Setups: []tally.Setup{{Pod: "jarvis-2"}, {Pod: "jarvis-1"}},
	}, 0, 5*second)
	require.Len(t, got, 3)
	require.Equal(t, "jarvis-1", got[0].GetPod())
	require.Equal(t, "jarvis-2", got[1].GetPod())
	require.Equal(t, "a2", got[1].GetAddress())
	require.EqualValues(t, 2, got[1].GetRequests())
	require.EqualValues(t, 1, got[1].GetSessions())
	require.EqualValues(t, 1, got[1].GetCallsPlaced())
	require.Equal(t, "jarvis-10", got[2].GetPod(), "by number")
}

// watched is an Observer that keeps what it was told, in words.
type watched []string

func (w *watched) Inference(i tally.Inference) {
	*w = append(*w, fmt.Sprint("inference ", i.Call, " ", i.State))
}
func (w *watched) Occurrence(o tally.Occurrence) {
	*w = append(*w, fmt.Sprint("occurrence ", o.Call, " ", o.Class))
}
func (w *watched) Up(s tally.Setup) { *w = append(*w, fmt.Sprint("up ", s.Call, " ", s.Pod)) }
func (w *watched) Gap(g tally.Gap)  { *w = append(*w, fmt.Sprint("gap ", g.Call, " ", g.Duration)) }
func (w *watched) Down(call int, at time.Duration) {
	*w = append(*w, fmt.Sprint("down ", call, " ", at))
}

func (w *watched) Moved(call int, at time.Duration, pod string) {
	*w = append(*w, fmt.Sprint("moved ", call, " ", at, " ", pod))
}

func TestWhoKeepsAndWhoOnlyTellsTellTheSame(t *testing.T) {
	kept, told := &watched{}, &watched{}
	keeps := tally.NewRecorder(0, time.Hour, kept)
	for _, r := range []interface {
		Inference(tally.Inference)
		Occurrence(tally.Occurrence)
		Setup(tally.Setup)
		Moved(call int, at time.Duration, pod string)
		Loss(call int, at time.Duration)
		HungUp(call int, at time.Duration)
		Gap(tally.Gap)
		SideError(code string)
	}{keeps, tally.Teller{Observer: told}} {
		r.Setup(tally.Setup{Call: 1, Pod: "jarvis-1"})
		r.Inference(tally.Inference{Call: 1, State: tally.Cold})
		r.Occurrence(tally.Occurrence{Call: 1, Class: tally.Misroute})
		r.Moved(1, second, "jarvis-2")
		r.Gap(tally.Gap{Call: 1, Duration: millisecond})
		r.Loss(1, 2*second)
		r.HungUp(1, 3*second)
		r.SideError("no_pods")
	}
	require.Equal(t, watched{
		"up 1 jarvis-1", "inference 1 cold", "occurrence 1 misroutes", "moved 1 1s jarvis-2", "gap 1 1ms", "down 1 2s", "down 1 3s",
	}, *told)
	require.Equal(t, *told, *kept)
	records, _ := tally.Merge([]*tally.Recorder{keeps})
	require.Len(t, records.Losses, 1, "to hang up is no loss")
}
