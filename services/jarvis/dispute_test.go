package jarvis_test

import (
	"context"
	"testing"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/require"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/services/jarvis"
	"github.com/smaran-v2/smaran/services/jarvis/handoff"
	"github.com/smaran-v2/smaran/services/jarvis/state"
	"github.com/smaran-v2/smaran/services/session"
)

// disputed is a session that two pods have under epoch 2, each with what its own callers were answered: high's title goes over low's. No
// pod has heard of the other's, and the ring gives the session to the one in turn.
func disputed(t *testing.T) (c *team, id session.ID, low, high *mate, atLow, atHigh *jarvisv1.InferResponse) {
	t.Helper()
	c = newTeam(t, 2)
	low, high = c.pods[0], c.pods[1]
	id = "s"
	for _, m := range c.pods { // each sees only itself, and is told of an epoch by its caller
		require.NoError(t, m.rings.Update(set(m)))
	}
	atLow = low.infer(t, id, &jarvisv1.InferRequest{Prompt: "to the low one", LastEpoch: 1})
	atHigh = high.infer(t, id, &jarvisv1.InferRequest{Prompt: "to the high one", LastEpoch: 1})
	require.EqualValues(t, 2, atLow.GetServed().GetEpoch())
	require.EqualValues(t, 2, atHigh.GetServed().GetEpoch())
	c.lists(set(c.pods...))
	return c, id, low, high, atLow, atHigh
}

func (m *mate) owns(id session.ID) bool {
	kept, ok := m.hands.Store.Find(id)
	return ok && kept.Owner == "" && kept.Epoch > 0
}

func TestTheLowerOfTwoOwnersOfOneEpochGivesWay(t *testing.T) {
	_, id, low, high, _, atHigh := disputed(t)
	next := low.infer(t, id, after(atHigh)) // it comes from a conversation that the pod has not had
	require.Equal(t, high.name, next.GetServed().GetPod())
	require.Equal(t, atHigh.GetServed().GetChecksum(), next.GetServed().GetPreviousChecksum())
	require.False(t, low.owns(id))
	require.InDelta(t, 1, low.drops(t, state.DroppedPassedOver), 0, "what it answered is counted")
}

func TestTheHigherOfTwoOwnersOfOneEpochTellsTheOther(t *testing.T) {
	_, id, low, high, atLow, _ := disputed(t)
	next := high.infer(t, id, after(atLow))
	require.Equal(t, high.name, next.GetServed().GetPod())
	require.EqualValues(t, 2, next.GetServed().GetEpoch())
	require.False(t, low.owns(id))
	require.InDelta(t, 1, low.drops(t, state.DroppedPassedOver), 0)
	require.InDelta(t, 1, high.drops(t, state.DroppedTurns), 0, "and so is what its caller had of it")
}

func TestAnOwnerGoesAboveOneOfItsEpochThatIsGone(t *testing.T) {
	c, id, low, high, _, atHigh := disputed(t)
	c.refuse(high.address, true)
	next := low.infer(t, id, after(atHigh))
	require.Equal(t, low.name, next.GetServed().GetPod())
	require.EqualValues(t, 4, next.GetServed().GetEpoch(), "whatever incarnation the other one had")
}

func TestAnEpochThatWasTakenBeforeTheConversationCameIsNotItsOwn(t *testing.T) {
	c := newTeam(t, 1)
	c.lists(set(c.pods...))
	m := c.pods[0]
	m.offer(t, "s") // by somebody who knew nothing of it
	require.True(t, m.owns("s"))
	res := m.infer(t, "s", &jarvisv1.InferRequest{LastTurn: 21, LastChecksum: "36cbbef666cbf989", LastEpoch: 1})
	require.Greater(t, res.GetServed().GetEpoch(), uint64(1), "its caller had that epoch from another process")
}

// TestAskingForACallBeginsNoSession: whoever asks for one that nobody has would take a place, and an epoch, for it.
func TestAskingForACallBeginsNoSession(t *testing.T) {
	c := newTeam(t, 2)
	c.lists(set(c.pods...))
	for _, m := range c.pods {
		_, err := m.rpc.Hangup(as(t, "s"), connect.NewRequest(&jarvisv1.HangupRequest{}))
		require.Error(t, err)
		stream, err := m.rpc.Watch(as(t, "s"), connect.NewRequest(&jarvisv1.WatchRequest{}))
		require.NoError(t, err)
		require.False(t, stream.Receive())
		require.Equal(t, connect.CodeFailedPrecondition, connect.CodeOf(stream.Err()))
		require.NoError(t, stream.Close())
	}
	for _, m := range c.pods {
		require.Zero(t, m.Status(false).GetSessions())
	}
}

func TestAGrantFromBelowWhatTheCallerSawIsNotEnough(t *testing.T) {
	c, id, from, to := grown(t)
	last := from.infer(t, id, &jarvisv1.InferRequest{})
	c.prepare(set(c.pods...), from)
	c.lists(set(c.pods...))
	last = to.infer(t, id, after(last))
	require.EqualValues(t, 2, last.GetServed().GetEpoch())
	// Somebody else minted 3 meanwhile, and is gone. Asked for the session, the former owner only repeats its grant of 2.
	req := after(last)
	req.LastEpoch = 3
	next := to.infer(t, id, req)
	require.Equal(t, to.name, next.GetServed().GetPod())
	require.EqualValues(t, 4, next.GetServed().GetEpoch())
}

func TestAProcessThatWasStartedAnewIsNotRemindedOfItsPredecessorsGrant(t *testing.T) {
	c, id, from, to := grown(t)
	last := from.infer(t, id, &jarvisv1.InferRequest{})
	c.lists(set(c.pods...))
	_, err := from.rpc.Claim(as(t, id), connect.NewRequest(&jarvisv1.ClaimRequest{
		Pod: to.name, Incarnation: "the process before", Want: jarvisv1.Want_WANT_SESSION}))
	require.NoError(t, err)
	next := from.infer(t, id, after(last))
	require.Equal(t, to.name, next.GetServed().GetPod())
	require.Greater(t, next.GetServed().GetEpoch(), uint64(2))
}

// drops is a value of jarvis_sessions_dropped_total.
func (m *mate) drops(t testing.TB, why state.Dropped) float64 {
	t.Helper()
	return m.counter(t, "jarvis_sessions_dropped_total", string(why))
}

// kept is an archive with one conversation.
type kept struct{ snap state.Snapshot }

func (k kept) Load(_ context.Context, id session.ID) (state.Snapshot, uint64, error) {
	if id != "kept" {
		return state.Snapshot{}, 0, state.ErrUnknown
	}
	return k.snap, 3, nil
}

// TestWhatNoPodHasIsSoughtInTheArchive: for a caller too who says nothing of what it had, as one with curl alone.
func TestWhatNoPodHasIsSoughtInTheArchive(t *testing.T) {
	c := newTeam(t, 1)
	at := state.Point{Turn: 6, Checksum: 6}
	c.change = func(_ *mate, _ *jarvis.Options, o *handoff.Options) {
		o.Archive = kept{state.Snapshot{At: at, Recent: []state.Point{at}}}
	}
	m := c.start(&mate{name: "jarvis-9", incarnation: "ninth"})
	c.lists(set(m))
	res := m.infer(t, "kept", &jarvisv1.InferRequest{})
	require.EqualValues(t, 7, res.GetServed().GetTurn())
	require.EqualValues(t, 4, res.GetServed().GetEpoch())
	require.EqualValues(t, 1, m.infer(t, "new", &jarvisv1.InferRequest{}).GetServed().GetTurn())
}
