package state_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/jarvis/state"
)

func TestFirstRequestIsColdTheNextWarmARepeatedOneCached(t *testing.T) {
	store := newStore(t, 10)

	first, one := store.ask(t, "a", state.Request{Prompt: "hello"})
	require.Equal(t, cold, first.State)
	require.Equal(t, loadTime+inferenceTime, first.Wait)
	require.Equal(t, state.Point{}, one.Previous)

	second, two := store.ask(t, "a", state.Request{Prompt: "again"})
	require.Equal(t, warm, second.State)
	require.InDelta(t, inferenceTime, second.Wait, float64(time.Microsecond))
	require.Equal(t, one.Point, two.Previous)

	third, three := store.ask(t, "a", state.Request{Prompt: "hello"})
	require.Equal(t, cached, third.State)
	require.Zero(t, third.Wait)
	require.Equal(t, first.Text, third.Text)
	require.EqualValues(t, 3, three.Turn, "a cached answer is an answer")
	require.Equal(t, two.Checksum.Next(3, "hello"), three.Checksum)
}

func TestAnEmptyOrFreshPromptIsAlwaysComputed(t *testing.T) {
	store := newStore(t, 10)
	store.ask(t, "a", state.Request{})
	again, _ := store.ask(t, "a", state.Request{})
	require.Equal(t, warm, again.State)

	store.ask(t, "a", state.Request{Prompt: "hello"})
	fresh, _ := store.ask(t, "a", state.Request{Prompt: "hello", Fresh: true})
	require.Equal(t, warm, fresh.State)

	store.ask(t, "a", state.Request{Prompt: "speech", Fresh: true})
	asked, _ := store.ask(t, "a", state.Request{Prompt: "speech"})
	require.Equal(t, warm, asked.State, "a fresh answer is not kept")
}

func TestResultsAreBoundedAndTheLeastRecentlyUsedOneGoes(t *testing.T) {
	store := newStore(t, 10) // two results a session
	for _, prompt := range []string{"one", "two", "one", "three"} {
		store.ask(t, "a", state.Request{Prompt: prompt})
	}
	one, _ := store.ask(t, "a", state.Request{Prompt: "one"})
	require.Equal(t, cached, one.State)
	two, _ := store.ask(t, "a", state.Request{Prompt: "two"})
	require.Equal(t, warm, two.State)
}

func TestSessionsShareNoResults(t *testing.T) {
	store := newStore(t, 10)
	store.ask(t, "a", state.Request{Prompt: "hello"})
	store.ask(t, "b", state.Request{Prompt: "bye"})
	other, _ := store.ask(t, "b", state.Request{Prompt: "hello"})
	require.Equal(t, warm, other.State)
}

func TestConcurrentFirstRequestsShareOneLoad(t *testing.T) {
	const callers = 50
	store := newStore(t, 10)
	found := make([]state.Inference, callers)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			held, release, err := store.Hold("a", 0)
			if err != nil {
				panic(err)
			}
			defer release()
			found[i] = held.Begin(state.Request{Prompt: fmt.Sprint(i)})
			found[i].Finish()
		})
	}
	wg.Wait()
	loads := 0
	for _, f := range found {
		if f.State == cold {
			loads++
		} else {
			require.Equal(t, warm, f.State)
		}
		require.InDelta(t, loadTime+inferenceTime, f.Wait, float64(time.Microsecond), "all wait for the load")
	}
	require.Equal(t, 1, loads)
	kept, _ := store.Find("a")
	require.EqualValues(t, callers, kept.At.Turn)
}

func TestALaterCallerWaitsOnlyForTheRestOfTheLoad(t *testing.T) {
	store := newStore(t, 10)
	held, release := store.hold(t, "a")
	defer release()
	held.Begin(state.Request{}) // given up: never finished
	store.clock.Advance(loadTime - 200*time.Millisecond)

	second := held.Begin(state.Request{})
	require.Equal(t, warm, second.State)
	require.InDelta(t, 200*time.Millisecond+inferenceTime, second.Wait, float64(time.Microsecond))
	require.EqualValues(t, 1, second.Finish().Turn, "who gave up left no trace")
}

func TestACallerFromElsewhereFindsAStaleCopy(t *testing.T) {
	store := newStore(t, 10)
	store.ask(t, "a", state.Request{Prompt: "hello"})
	_, here := store.ask(t, "a", state.Request{Prompt: "more"})
	elsewhere := state.Point{Turn: 9, Checksum: 99}

	moved, after := store.ask(t, "a", state.Request{Prompt: "hello", Last: elsewhere})
	require.Equal(t, cold, moved.State)
	require.Equal(t, loadTime, moved.Wait.Truncate(loadTime))
	require.EqualValues(t, 1, after.Turn, "the loss shows in the turn")
	require.Zero(t, after.Previous)
	require.Equal(t, 1, store.dropped[state.DroppedStale])

	again, _ := store.ask(t, "a", state.Request{Last: elsewhere})
	require.Equal(t, warm, again.State, "a second request sent from the same point loads nothing")
	back, _ := store.ask(t, "a", state.Request{Last: here.Point})
	require.Equal(t, cold, back.State, "the copy that was dropped is gone")
}

func TestSameTurnWithAnotherChecksumIsStale(t *testing.T) {
	store := newStore(t, 10)
	_, here := store.ask(t, "a", state.Request{})
	last := here.Point
	last.Checksum++
	found, _ := store.ask(t, "a", state.Request{Last: last})
	require.Equal(t, cold, found.State)
}

func TestCallersFromSeveralPointsShareTheLoadOfAReplacedCopy(t *testing.T) {
	store := newStore(t, 10)
	store.ask(t, "a", state.Request{})
	held, release := store.hold(t, "a")
	defer release()

	first := held.Begin(state.Request{Last: state.Point{Turn: 8, Checksum: 88}})
	second := held.Begin(state.Request{Last: state.Point{Turn: 9, Checksum: 99}})
	require.Equal(t, cold, first.State)
	require.Equal(t, warm, second.State)
	require.Equal(t, 1, store.dropped[state.DroppedStale])

	store.clock.Advance(second.Wait)
	third := held.Begin(state.Request{Last: state.Point{Turn: 9, Checksum: 99}})
	require.Equal(t, warm, third.State)
}

func TestACopyRemembersItsLast64Points(t *testing.T) {
	store := newStore(t, 10)
	_, first := store.ask(t, "a", state.Request{})
	var second state.Answered
	for i := range 64 {
		_, answered := store.ask(t, "a", state.Request{})
		if i == 0 {
			second = answered
		}
	}
	found, _ := store.ask(t, "a", state.Request{Last: second.Point})
	require.Equal(t, warm, found.State, "64 answers back")
	found, _ = store.ask(t, "a", state.Request{Last: first.Point})
	require.Equal(t, cold, found.State, "further back than that")
}

func TestAnAnswerBegunOnAReplacedCopyJoinsTheNewOne(t *testing.T) {
	store := newStore(t, 10)
	store.ask(t, "a", state.Request{})
	held, release := store.hold(t, "a")
	defer release()

	slow := held.Begin(state.Request{})
	replaced := held.Begin(state.Request{Last: state.Point{Turn: 9, Checksum: 99}})
	one := replaced.Finish()
	two := slow.Finish()
	require.EqualValues(t, 1, one.Turn)
	require.EqualValues(t, 2, two.Turn)
	require.Equal(t, one.Point, two.Previous)
}
