package state_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/jarvis/model"
	"github.com/smaran-v2/smaran/services/jarvis/state"
	"github.com/smaran-v2/smaran/services/session"
)

func TestTheLeastRecentlyUsedSessionMakesRoom(t *testing.T) {
	store := newStore(t, 2)
	store.ask(t, "a", state.Request{})
	store.ask(t, "b", state.Request{})
	store.ask(t, "a", state.Request{})
	store.ask(t, "c", state.Request{})

	require.Equal(t, []session.ID{"a", "c"}, store.ids())
	require.Equal(t, 1, store.dropped[state.DroppedLRU])
	again, _ := store.ask(t, "b", state.Request{})
	require.Equal(t, cold, again.State)
}

func TestASessionInUseIsNeverDropped(t *testing.T) {
	store := newStore(t, 2)
	_, release := store.hold(t, "held")
	pinned, releasePinned := store.hold(t, "pinned")
	pinned.Begin(state.Request{})
	store.Pin("pinned", true)
	releasePinned()

	store.clock.Advance(2 * idleTime)
	_, _, err := store.Hold("new", 0)
	require.ErrorIs(t, err, state.ErrFull)
	require.Equal(t, []session.ID{"held", "pinned"}, store.ids())

	release()
	_, releaseNew := store.hold(t, "new")
	defer releaseNew()
	require.Equal(t, []session.ID{"new", "pinned"}, store.ids())

	store.Pin("pinned", false)
	_, releaseOther := store.hold(t, "other")
	defer releaseOther()
	require.Equal(t, []session.ID{"new", "other"}, store.ids())
}

func TestASessionWithSeveralHoldersIsInUseUntilTheLast(t *testing.T) {
	store := newStore(t, 1)
	held, first := store.hold(t, "a")
	held.Begin(state.Request{})
	_, second := store.hold(t, "a")
	first()
	_, _, err := store.Hold("b", 0)
	require.ErrorIs(t, err, state.ErrFull)
	second()
	_, release := store.hold(t, "b")
	release()
}

func TestIdleSessionsExpire(t *testing.T) {
	store := newStore(t, 10)
	store.ask(t, "a", state.Request{})
	store.clock.Advance(idleTime / 2)
	store.ask(t, "b", state.Request{})
	store.clock.Advance(idleTime/2 - loadTime - inferenceTime - 1)
	require.Equal(t, []session.ID{"a", "b"}, store.ids(), "a nanosecond before")

	store.clock.Advance(1)
	require.Equal(t, 1, store.Len())
	require.True(t, store.Has("b"))
	require.Equal(t, 1, store.dropped[state.DroppedIdle])
	again, _ := store.ask(t, "a", state.Request{})
	require.Equal(t, cold, again.State)
}

func TestASessionWithNothingInItIsForgotten(t *testing.T) {
	store := newStore(t, 1)
	_, release := store.hold(t, "a")
	require.True(t, store.Has("a"))
	release()
	require.False(t, store.Has("a"))
	require.Empty(t, store.dropped)

	_, release, err := store.Hold("b", 3)
	require.NoError(t, err)
	release()
	require.True(t, store.Has("b"), "its epoch is something to know")
}

func TestTheBoundHoldsUnderConcurrency(t *testing.T) {
	const limit, callers = 7, 100
	store := newStore(t, limit)
	var admitted, refused atomic.Int64
	var start, done sync.WaitGroup
	start.Add(1)
	for i := range callers {
		done.Go(func() {
			start.Wait()
			switch _, _, err := store.Hold(session.ID(fmt.Sprint(i)), 0); {
			case err == nil:
				admitted.Add(1)
			default:
				refused.Add(1)
			}
		})
	}
	start.Done()
	done.Wait()
	require.EqualValues(t, limit, admitted.Load())
	require.EqualValues(t, callers-limit, refused.Load())
	require.Equal(t, limit, store.Len())
}

func TestAnOlderEpochIsRefused(t *testing.T) {
	store := newStore(t, 10)
	_, release, err := store.Hold("a", 5)
	require.NoError(t, err)
	defer release()

	for name, fence := range map[string]func(uint64) error{
		"fence": func(epoch uint64) error { return store.Fence("a", epoch) },
		"hold": func(epoch uint64) error {
			_, release, err := store.Hold("a", epoch)
			if err == nil {
				release()
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, fence(5))
			require.NoError(t, fence(0), "absent: not checked")
			err := fence(4)
			require.ErrorIs(t, err, state.ErrStaleEpoch)
			var stale *state.StaleEpochError
			require.ErrorAs(t, err, &stale)
			require.Equal(t, state.StaleEpochError{Received: 4, Known: 5}, *stale)
		})
	}
	require.NoError(t, store.Fence("a", 6))
	require.ErrorIs(t, store.Fence("a", 5), state.ErrStaleEpoch)
	require.NoError(t, store.Fence("never seen", 1))
}

func TestASupersededSessionNamesItsOwnerUntilItComesBack(t *testing.T) {
	store := newStore(t, 10)
	_, release, err := store.Hold("a", 5)
	require.NoError(t, err)
	defer release()

	store.Supersede("a", "jarvis-2", 4)
	kept, _ := store.Find("a")
	require.Equal(t, state.Kept{ID: "a", Title: state.Title{Epoch: 5}}, kept, "an older owner changes nothing")

	store.Supersede("a", "jarvis-2", 6)
	var stale *state.StaleEpochError
	require.ErrorAs(t, store.Fence("a", 5), &stale)
	require.Equal(t, state.StaleEpochError{Received: 5, Known: 6, Owner: "jarvis-2"}, *stale)

	require.NoError(t, store.Fence("a", 7))
	kept, _ = store.Find("a")
	require.Equal(t, state.Kept{ID: "a", Title: state.Title{Epoch: 7}}, kept)
	store.Supersede("never seen", "jarvis-2", 1)
	require.False(t, store.Has("never seen"))
}

func TestNewRefusesWhatIsOutOfRange(t *testing.T) {
	valid := state.Options{Max: 1, Idle: 1, Results: 1, Clock: clockwork.NewRealClock(), Model: model.New(exact, 1)}
	for name, change := range map[string]func(*state.Options){
		"max":     func(o *state.Options) { o.Max = 0 },
		"idle":    func(o *state.Options) { o.Idle = 0 },
		"results": func(o *state.Options) { o.Results = 0 },
		"clock":   func(o *state.Options) { o.Clock = nil },
		"model":   func(o *state.Options) { o.Model = nil },
	} {
		t.Run(name, func(t *testing.T) {
			o := valid
			change(&o)
			_, err := state.New(o)
			require.Error(t, err)
		})
	}
	_, err := state.New(valid)
	require.NoError(t, err)
}

// What a request costs besides the simulated time.
func BenchmarkWarm(b *testing.B) {
	store, err := state.New(state.Options{Max: 1000, Idle: time.Hour, Results: 32,
		Clock: clockwork.NewRealClock(), Model: model.New(model.Timings{}, 1)})
	require.NoError(b, err)
	ids := make([]session.ID, 512)
	for i := range ids {
		ids[i] = session.ID(fmt.Sprintf("session-%d", i))
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			held, release, err := store.Hold(ids[i%len(ids)], 0)
			if err != nil {
				b.Fatal(err)
			}
			held.Begin(state.Request{}).Finish()
			release()
		}
	})
}
