package state_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/smaran-v2/smaran/services/jarvis/model"
	"github.com/smaran-v2/smaran/services/jarvis/state"
	"github.com/smaran-v2/smaran/services/session"
)

// sliceTime is what of a load is left where the cache came from another pod.
const sliceTime = 500 * time.Millisecond

// serve mints a session and asks it some prompts.
func (f *fixture) serve(t *testing.T, id session.ID, prompts ...string) uint64 {
	t.Helper()
	epoch, err := f.Mint(id, 0)
	require.NoError(t, err)
	for _, p := range prompts {
		f.ask(t, id, state.Request{Prompt: p})
	}
	return epoch
}

func (f *fixture) snapshot(t *testing.T, id session.ID) (state.Snapshot, state.Title) {
	t.Helper()
	snap, title, err := f.Snapshot(id)
	require.NoError(t, err)
	return snap, title
}

func TestACopyGoesOnWhereTheConversationStood(t *testing.T) {
	old, next := newStore(t, 10), newStore(t, 10)
	old.serve(t, "a", "one", "two")
	snap, title := old.snapshot(t, "a")
	require.EqualValues(t, 1, title.Epoch)
	loading, err := next.Adopt("a", snap, state.Title{Epoch: 1, Owner: "jarvis-1", Incarnation: "x"})
	require.NoError(t, err)
	require.Equal(t, sliceTime, loading, "the model's slice has to be loaded all the same")
	next.clock.Advance(loading)

	_, err = next.Own("a", 2, nil)
	require.NoError(t, err)
	again, answered := next.ask(t, "a", state.Request{Prompt: "one", Last: snap.At})
	require.Equal(t, cached, again.State, "answers came with it")
	require.EqualValues(t, 3, answered.Turn)
	require.Equal(t, snap.At, answered.Previous)
	more, _ := next.ask(t, "a", state.Request{Prompt: "three", Last: snap.Recent[0]})
	require.Equal(t, warm, more.State, "a caller may stand at an earlier point of it")
}

func TestWhoWaitsForACopysLoadIsColdOnce(t *testing.T) {
	old, next := newStore(t, 10), newStore(t, 10)
	old.serve(t, "a", "one")
	snap, _ := old.snapshot(t, "a")
	_, err := next.Own("a", 2, &snap)
	require.NoError(t, err)
	first, release := next.hold(t, "a")
	defer release()
	found := first.Begin(state.Request{Prompt: "two"})
	require.Equal(t, cold, found.State)
	require.Equal(t, sliceTime+inferenceTime, found.Wait, "but its cache is there")
	require.Equal(t, warm, first.Begin(state.Request{Prompt: "three"}).State)
}

func TestACopyIsTakenOnceAndNeverBackwards(t *testing.T) {
	old, next := newStore(t, 10), newStore(t, 10)
	owner := state.Title{Epoch: 1, Owner: "jarvis-1", Incarnation: "x"}
	old.serve(t, "a", "one")
	early, _ := old.snapshot(t, "a")
	old.ask(t, "a", state.Request{Prompt: "two"})
	late, _ := old.snapshot(t, "a")

	for _, snap := range []state.Snapshot{late, early, late} {
		_, err := next.Adopt("a", snap, owner)
		require.NoError(t, err)
		kept, _ := next.Find("a")
		require.Equal(t, late.At, kept.At)
	}
	_, err := next.Adopt("a", early, state.Title{Epoch: 2, Owner: "jarvis-3"})
	require.NoError(t, err)
	kept, _ := next.Find("a")
	require.Equal(t, early.At, kept.At, "a higher title's word counts, however short")
	_, err = next.Adopt("a", late, owner)
	var stale *state.StaleEpochError
	require.ErrorAs(t, err, &stale)
	require.Equal(t, "jarvis-3", stale.Owner)
}

func TestNoCopyOverWhatAPodOwns(t *testing.T) {
	old, next := newStore(t, 10), newStore(t, 10)
	old.serve(t, "a", "one")
	snap, _ := old.snapshot(t, "a")
	next.serve(t, "a", "mine")
	_, err := next.Adopt("a", snap, state.Title{Epoch: 1, Owner: "jarvis-1"})
	require.ErrorIs(t, err, state.ErrOwned)
}

// TestACopyTakesThePlaceOfAnother: else a pod that has been sent as many as it may keep would take none any more.
func TestACopyTakesThePlaceOfAnother(t *testing.T) {
	old, next := newStore(t, 10), newStore(t, 3)
	next.serve(t, "mine", "one")
	for _, id := range []session.ID{"a", "b", "c"} {
		epoch := old.serve(t, id, "one")
		snap, _ := old.snapshot(t, id)
		_, err := next.Adopt(id, snap, state.Title{Epoch: epoch, Owner: "jarvis-1"})
		require.NoError(t, err)
	}
	require.False(t, next.Has("a"), "the one that was there longest")
	require.True(t, next.Has("b"))
	require.True(t, next.Has("c"))
	require.True(t, next.Has("mine"), "what this pod owns is worth more, however long unused")
}

// TestASessionThatIsInheritedTakesNoOwnersPlace: whoever hands it over learns that there is no room, and names it.
func TestASessionThatIsInheritedTakesNoOwnersPlace(t *testing.T) {
	old, next := newStore(t, 10), newStore(t, 2)
	next.serve(t, "mine", "one")
	inherit := func(id session.ID) error {
		epoch := old.serve(t, id, "one")
		snap, _ := old.snapshot(t, id)
		_, err := next.Inherit(id, epoch+1, &snap)
		return err
	}
	require.NoError(t, inherit("a"))
	require.ErrorIs(t, inherit("b"), state.ErrFull)
	require.True(t, next.Has("mine"))
	require.True(t, next.Has("a"))
}

func TestASnapshotFitsIntoAMessage(t *testing.T) {
	const size = 150 << 10
	old, next := newStore(t, 1), newStore(t, 1)
	prompt := func(i int) string { return strings.Repeat(string(rune('a'+i)), size) }
	for i := range 6 {
		old.serve(t, "a", prompt(i))
	}
	snap, title := old.snapshot(t, "a")
	require.Less(t, proto.Size(snap.Message()), 1<<20)
	title.Owner = "jarvis-1"
	_, err := next.Adopt("a", snap, title)
	require.NoError(t, err)
	_, err = next.Own("a", title.Epoch+1, nil)
	require.NoError(t, err)
	require.NotEmpty(t, initials(snap))
	require.NotEqual(t, "abcdef", initials(snap))
	require.True(t, strings.HasSuffix("abcdef", initials(snap)), "%q: the latest, in their order", initials(snap))
	_, answered := next.ask(t, "a", state.Request{Prompt: prompt(0)})
	require.EqualValues(t, 7, answered.Turn, "the conversation is whole")
}

// initials are the first letters of the prompts whose answers are in a snapshot.
func initials(snap state.Snapshot) (out string) {
	for _, r := range snap.Results {
		out += r.Prompt[:1]
	}
	return out
}

func TestNobodyMakesRoomForACopy(t *testing.T) {
	old, next := newStore(t, 10), newStore(t, 1)
	old.serve(t, "a", "one")
	snap, _ := old.snapshot(t, "a")
	next.serve(t, "b", "mine")
	_, err := next.Adopt("a", snap, state.Title{Epoch: 1, Owner: "jarvis-1"})
	require.ErrorIs(t, err, state.ErrFull)
	require.True(t, next.Has("b"))
	_, err = next.Own("a", 2, &snap)
	require.NoError(t, err, "but for the session itself")
	require.False(t, next.Has("b"))
}

func TestASessionIsGivenOnceItStandsStill(t *testing.T) {
	store := newStore(t, 10)
	store.serve(t, "a", "one")
	held, release, err := store.HoldOwned("a")
	require.NoError(t, err)
	answer := held.Begin(state.Request{Prompt: "two"})

	giving, err := store.Give("a")
	require.NoError(t, err)
	require.False(t, closed(giving.Settled()), "somebody holds it")
	_, _, err = store.HoldOwned("a")
	var other *state.GivingError
	require.ErrorAs(t, err, &other, "nobody new does")
	_, err = store.Give("a")
	require.ErrorAs(t, err, &other, "and nobody else gives it")

	last := answer.Finish()
	release()
	require.True(t, closed(giving.Settled()))
	title, snap := giving.Next("jarvis-2", "y")
	require.False(t, closed(other.Ended))
	giving.Finish(title)
	require.Equal(t, state.Title{Epoch: 2, Owner: "jarvis-2", Incarnation: "y"}, title)
	require.Equal(t, last.Point, snap.At, "with what was answered meanwhile")
	require.True(t, closed(other.Ended))

	var moved *state.MovedError
	_, _, err = store.HoldOwned("a")
	require.ErrorAs(t, err, &moved)
	require.Equal(t, title, moved.Title)
	_, err = store.Give("a")
	require.ErrorAs(t, err, &moved, "once")
}

func TestAGivingThatIsCancelledLeavesEverything(t *testing.T) {
	store := newStore(t, 10)
	store.serve(t, "a", "one")
	giving, err := store.Give("a")
	require.NoError(t, err)
	store.clock.Advance(2 * idleTime)
	require.True(t, store.Has("a"), "it is in use meanwhile")
	giving.Cancel()
	_, release, err := store.HoldOwned("a")
	require.NoError(t, err)
	release()
	store.clock.Advance(2 * idleTime)
	require.False(t, store.Has("a"))
}

func TestWhatMayHaveArrivedIsTakenBackOverIt(t *testing.T) {
	old, next := newStore(t, 10), newStore(t, 10)
	old.serve(t, "a", "one")
	giving, err := old.Give("a")
	require.NoError(t, err)
	title, snap := giving.Next("jarvis-2", "")
	_, err = next.Own("a", title.Epoch, &snap) // it arrived, and its receipt did not
	require.NoError(t, err)
	giving.TakeBack(title)
	_, mine := old.snapshot(t, "a")
	require.True(t, mine.Above(title))
	_, err = next.Adopt("a", snap, state.Title{Epoch: mine.Epoch, Owner: "jarvis-1"})
	require.NoError(t, err, "and the other one gives way")
	require.Equal(t, 1, next.dropped[state.DroppedPassedOver])
}

func TestAGrantThatComesAgainChangesNothing(t *testing.T) {
	old, next := newStore(t, 10), newStore(t, 10)
	old.serve(t, "a", "one")
	snap, _ := old.snapshot(t, "a")
	for range 2 {
		_, err := next.Own("a", 2, &snap)
		require.NoError(t, err)
		next.ask(t, "a", state.Request{})
	}
	kept, _ := next.Find("a")
	require.EqualValues(t, 3, kept.At.Turn)
	_, err := next.Own("b", 2, nil)
	require.ErrorIs(t, err, state.ErrUnknown, "there is nothing to go on with")
}

func TestAnAnswerOfAPodThatWasPassedOverIsNone(t *testing.T) {
	store := newStore(t, 10)
	store.serve(t, "a", "one")
	held, release, err := store.HoldOwned("a")
	require.NoError(t, err)
	defer release()
	answer := held.Begin(state.Request{})
	store.Supersede("a", "jarvis-2", 7)
	var moved *state.MovedError
	_, err = answer.FinishOwned()
	require.ErrorAs(t, err, &moved)
	kept, _ := store.Find("a")
	require.EqualValues(t, 1, kept.At.Turn)
}

func TestMintedTitlesRise(t *testing.T) {
	store := newStore(t, 10)
	require.EqualValues(t, 1, store.serve(t, "a"))
	again, err := store.Mint("a", 1)
	require.NoError(t, err)
	require.EqualValues(t, 1, again, "who owns it keeps its title")
	above, err := store.Mint("a", 7)
	require.NoError(t, err)
	require.EqualValues(t, 8, above, "unless somebody knows of a higher one")
	store.Supersede("a", "jarvis-3", 9)
	over, err := store.Mint("a", 0)
	require.NoError(t, err)
	require.EqualValues(t, 10, over)
}

func TestOfTwoEqualEpochsTheHigherIncarnationWins(t *testing.T) {
	a, b := state.Title{Epoch: 4, Incarnation: "a"}, state.Title{Epoch: 4, Incarnation: "b"}
	require.True(t, b.Above(a))
	require.False(t, a.Above(b))
	require.False(t, a.Above(a))
	require.True(t, state.Title{Epoch: 5}.Above(b))
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestAHandedConversationGoesOnFromWhatThereIs(t *testing.T) {
	clock := newStore(t, 10)
	store, err := state.New(state.Options{Max: 10, Idle: idleTime, Results: 2, Clock: clock.clock, Model: model.New(exact, 1), Handed: true})
	require.NoError(t, err)
	f := &fixture{Store: store, clock: clock.clock}
	f.serve(t, "a", "one", "two")
	found, answered := f.ask(t, "a", state.Request{Last: state.Point{Turn: 9, Checksum: 99}})
	require.Equal(t, warm, found.State)
	require.EqualValues(t, 3, answered.Turn, "the turn shows what was lost")
}

func TestAGrantOverAnotherConversationIsCounted(t *testing.T) {
	mine, other := newStore(t, 10), newStore(t, 10)
	mine.serve(t, "a", "one")
	other.serve(t, "a", "another")
	snap, _ := other.snapshot(t, "a")
	_, err := mine.Own("a", 2, &snap)
	require.NoError(t, err)
	require.Equal(t, 1, mine.dropped[state.DroppedPassedOver])

	mine.ask(t, "a", state.Request{Prompt: "two"})
	snap, _ = mine.snapshot(t, "a")
	_, err = mine.Own("a", 3, &snap)
	require.NoError(t, err)
	require.Equal(t, 1, mine.dropped[state.DroppedPassedOver], "its own is none")
}

func TestWhoGaveWayTakesTheOwnersCopyWhereverItStands(t *testing.T) {
	mine, owner := newStore(t, 10), newStore(t, 10)
	mine.serve(t, "a", "one", "two", "three")
	owner.serve(t, "a", "another")
	title := state.Title{Epoch: 1, Owner: "jarvis-2", Incarnation: "z"}
	mine.GiveWay("a", title)
	require.Equal(t, 1, mine.dropped[state.DroppedPassedOver])
	snap, _ := owner.snapshot(t, "a")
	_, err := mine.Adopt("a", snap, title)
	require.NoError(t, err)
	kept, _ := mine.Find("a")
	require.Equal(t, snap.At, kept.At)
	require.Equal(t, title, kept.Title)
	require.Equal(t, 1, mine.dropped[state.DroppedPassedOver], "once")
	mine.GiveWay("a", state.Title{Epoch: 1, Owner: "jarvis-3", Incarnation: "y"})
	kept, _ = mine.Find("a")
	require.Equal(t, title, kept.Title, "not to a lower one")
}

func TestAnAnswerThatWasBegunOnAnotherCopyIsNone(t *testing.T) {
	mine, other := newStore(t, 10), newStore(t, 10)
	mine.serve(t, "a", "one")
	other.serve(t, "a", "another")
	held, release, err := mine.HoldOwned("a")
	require.NoError(t, err)
	defer release()
	answer := held.Begin(state.Request{})
	snap, _ := other.snapshot(t, "a")
	_, err = mine.Own("a", 2, &snap)
	require.NoError(t, err)
	_, err = answer.FinishOwned()
	require.ErrorIs(t, err, state.ErrReplaced)
	again := held.Begin(state.Request{})
	answered, err := again.FinishOwned()
	require.NoError(t, err)
	require.Equal(t, snap.At, answered.Previous)
	require.EqualValues(t, 2, answered.Epoch)
}

func TestAHandedConversationThatIsNotThereIsCountedAtOnce(t *testing.T) {
	f := newStore(t, 10)
	lost := 0
	store, err := state.New(state.Options{Max: 10, Idle: idleTime, Results: 2, Clock: f.clock, Model: model.New(exact, 1), Handed: true,
		OnDropped: func(session.ID, state.Dropped) { lost++ }})
	require.NoError(t, err)
	_, err = store.Mint("a", 0)
	require.NoError(t, err)
	held, release, err := store.HoldOwned("a")
	require.NoError(t, err)
	defer release()
	last := state.Point{Turn: 9, Checksum: 99}
	require.Equal(t, cold, held.Begin(state.Request{Last: last}).State) // and nobody waits for it
	require.Equal(t, 1, lost)
	require.Equal(t, warm, held.Begin(state.Request{Last: last}).State)
	require.Equal(t, 1, lost)
}
