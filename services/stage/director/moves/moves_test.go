package moves_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/smaran-v2/smaran/services/stage/director/moves"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// answer as a caller saw it, told at a time.
type answer struct {
	session, address string
	sent, done, told time.Duration
}

// naive is the definition, over all answers at once.
func naive(all []answer, from, to time.Duration) (observed, moved uint32) {
	last := func(session string, match func(answer) bool) (string, bool) {
		var best answer
		found := false
		for _, a := range all {
			if a.session == session && match(a) && (!found || a.done >= best.done) {
				best, found = a, true
			}
		}
		return best.address, found
	}
	sessions := map[string]bool{}
	for _, a := range all {
		sessions[a.session] = true
	}
	for s := range sessions {
		before, seen := last(s, func(a answer) bool { return a.done <= from })
		after, again := last(s, func(a answer) bool { return a.sent >= from && a.done > from && a.done <= to })
		if seen && again {
			observed++
			if before != after {
				moved++
			}
		}
	}
	return observed, moved
}

// Whatever comes late and in whatever order, what an account says is what the definition says of all that was told.
func TestAnAccountIsItsDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		second := func(n int) time.Duration { return time.Duration(n) * time.Second / 4 }
		ends := map[string]bool{} // of one session no two answers at the same time
		var all []answer
		for range rapid.IntRange(0, 60).Draw(t, "answers") {
			a := answer{session: fmt.Sprint("s", rapid.IntRange(0, 4).Draw(t, "session")), address: fmt.Sprint("p", rapid.IntRange(0, 2).Draw(t, "pod"))}
			done := rapid.IntRange(1, 100).Draw(t, "done")
			key := fmt.Sprint(a.session, done)
			if ends[key] {
				continue
			}
			ends[key] = true
			a.done = second(done)
			a.sent = second(max(0, done-rapid.IntRange(0, 5).Draw(t, "took")))
			a.told = a.done + time.Duration(rapid.IntRange(0, 2000).Draw(t, "late"))*time.Millisecond
			all = append(all, a)
		}
		starts := rapid.SliceOfNDistinct(rapid.IntRange(1, 100), 0, 6, rapid.ID[int]).Draw(t, "starts")
		slices.Sort(starts)

		// An event begins when it is told; an answer that is told at that moment is told first.
		slices.SortStableFunc(all, func(a, b answer) int { return cmp.Compare(a.told, b.told) })
		account, next := moves.New(), 0
		for id, start := range starts {
			for ; next < len(all) && all[next].told <= second(start); next++ {
				account.Answer(all[next].session, all[next].address, all[next].sent, all[next].done)
			}
			account.Begin(uint32(id), second(start))
		}
		for ; next < len(all); next++ {
			account.Answer(all[next].session, all[next].address, all[next].sent, all[next].done)
		}

		var sum uint32
		for id, start := range starts {
			end := time.Duration(1 << 62)
			if id+1 < len(starts) {
				end = second(starts[id+1])
			}
			observed, moved := naive(all, second(start), end)
			got := account.Tally(uint32(id))
			require.Equal(t, observed, got.Observed, "event %d", id)
			require.Equal(t, moved, got.Moved, "event %d", id)
			sum += moved
		}
		if got := account.Moved(); got != nil {
			require.Equal(t, sum, *got)
		} else {
			require.Zero(t, sum)
		}
	})
}

func TestWhatHappensIsOfTheEventInWhoseTimeItWas(t *testing.T) {
	a := moves.New()
	a.Count(time.Second, "misroutes") // before all events
	a.Begin(1, 2*time.Second)
	a.Begin(2, 4*time.Second)
	require.Equal(t, []uint32{1, 2}, a.Changed())
	require.Empty(t, a.Changed())
	a.Count(3*time.Second, "misroutes")
	require.Equal(t, []uint32{1}, a.Changed())
	a.Count(4*time.Second, "misroutes")
	a.Count(5*time.Second, "misroutes")
	a.Gap(3*time.Second, 200*time.Millisecond)
	a.Gap(3*time.Second, 100*time.Millisecond)
	require.Equal(t, moves.Tally{Counts: map[string]uint32{"misroutes": 1}, WorstGap: 200 * time.Millisecond}, a.Tally(1))
	require.Equal(t, moves.Tally{Counts: map[string]uint32{"misroutes": 2}}, a.Tally(2))
	require.Zero(t, a.Tally(3))
}

func TestWhatHappensLongAfterAnEventIsNotItsDoing(t *testing.T) {
	a := moves.New()
	a.Begin(1, time.Second)
	a.Count(30*time.Second, "misroutes") // it is under way
	a.Finish(1, 40*time.Second)
	a.Count(49*time.Second, "misroutes")
	a.Count(51*time.Second, "misroutes")
	a.Gap(51*time.Second, time.Second)
	require.Equal(t, moves.Tally{Counts: map[string]uint32{"misroutes": 2}}, a.Tally(1))
	a.Begin(2, 60*time.Second)
	a.Count(60*time.Second, "misroutes")
	require.Equal(t, map[string]uint32{"misroutes": 1}, a.Tally(2).Counts)
}

func TestWhatNobodyAskedForIsNotKnownToHaveStayed(t *testing.T) {
	a := moves.New()
	a.Answer("s", "here", 0, time.Second)
	a.Begin(1, 2*time.Second)
	require.Nil(t, a.Moved())
	a.Answer("s", "here", 3*time.Second, 4*time.Second)
	require.NotNil(t, a.Moved())
	require.Zero(t, *a.Moved())
}

func TestASessionThatCameBackHasNotMoved(t *testing.T) {
	a := moves.New()
	at := func(n int) time.Duration { return time.Duration(n) * time.Second }
	a.Answer("s", "here", at(0), at(1))
	a.Begin(1, at(2))
	a.Answer("s", "there", at(1), at(3)) // it was under way already
	require.Zero(t, a.Tally(1).Observed)
	a.Answer("s", "there", at(3), at(4))
	require.EqualValues(t, 1, a.Tally(1).Moved)
	a.Answer("s", "here", at(4), at(5))
	require.EqualValues(t, 1, a.Tally(1).Observed)
	require.Zero(t, a.Tally(1).Moved)
	a.Forget("s")
	a.Begin(2, at(6))
	a.Answer("s", "there", at(6), at(7))
	require.Zero(t, a.Tally(2).Observed, "nothing is known of before")
}

func TestAnEventIsClosedLongAfterTheNextBegan(t *testing.T) {
	a := moves.New()
	a.Answer("s", "here", 0, time.Second)
	a.Begin(1, 2*time.Second)
	a.Answer("s", "there", 3*time.Second, 4*time.Second)
	for id := range uint32(4) {
		a.Begin(2+id, time.Duration(20+20*id)*time.Second)
	}
	want := maps.Clone(a.Tally(1).Counts)
	a.Answer("s", "here", 5*time.Second, 6*time.Second)
	require.EqualValues(t, 1, a.Tally(1).Moved, "what comes a minute late changes nothing")
	require.Equal(t, want, a.Tally(1).Counts)
}

func TestAnEventConcernsWhoWasAnsweredBefore(t *testing.T) {
	a := moves.New()
	a.Answer("early", "10.0.0.1:80", time.Second, 2*time.Second)
	a.Begin(1, 3*time.Second)
	a.Answer("late", "10.0.0.1:80", 4*time.Second, 5*time.Second)
	require.True(t, a.Had(1, "early"))
	require.False(t, a.Had(1, "late"))
	require.False(t, a.Had(2, "early"), "there is no such event")
}
