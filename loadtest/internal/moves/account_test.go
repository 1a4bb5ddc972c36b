package moves_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/smaran-v2/smaran/loadtest/internal/moves"
	"github.com/smaran-v2/smaran/loadtest/internal/tally"
	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/endpoints"
)

const second = time.Second

// set is an endpoints version with the pods called by number.
func set(pods ...int) endpoints.Set {
	var s endpoints.Set
	for _, n := range pods {
		s.Endpoints = append(s.Endpoints, endpoints.Endpoint{Pod: fmt.Sprint("jarvis-", n), Address: address(n), Health: endpoints.Healthy})
	}
	return s
}

func address(pod int) string { return fmt.Sprintf("127.0.0.%d:18080", 10+pod) }

// answer of a call at a time, served within 100 ms.
func answer(call int, at time.Duration, pod int) tally.Inference {
	return tally.Inference{Call: call, Intended: at, Sent: at, Done: at + 100*time.Millisecond, State: tally.Warm, Address: address(pod)}
}

// always picks by the session's own table, whatever the hosts.
func always(picks map[string]int) moves.Predictor {
	return func([]affinity.Host) (func(string) string, error) {
		return func(s string) string { return address(picks[s]) }, nil
	}
}

// scaling is a run that measures from 2 s to 20 s and scales 3 -> 5 at 8 s.
func scaling() moves.Input {
	return moves.Input{
		Sessions: []string{"a", "b"}, From: 2 * second, To: 20 * second, Margin: second / 2,
		History: []moves.Version{{At: -second, Number: 1, Set: set(1, 2, 3)}, {At: 9 * second, Number: 2, Set: set(1, 2, 3, 4, 5)}},
		Steps:   []moves.Step{{Start: 8 * second, Finish: 9100 * time.Millisecond}},
	}
}

func TestAMoveIsBetweenSettledFleets(t *testing.T) {
	in := scaling()
	in.Inferences = []tally.Inference{
		answer(0, 3*second, 1), answer(0, 7*second, 2), answer(0, 10*second, 4), answer(0, 12*second, 5),
		answer(1, 3*second, 3), answer(1, 10*second, 3),
	}
	got, err := moves.New(in)
	require.NoError(t, err)
	s := got.Steps[0]
	require.Equal(t, moves.Window{From: 9600 * time.Millisecond, To: 20 * second}, s.Window, "the event's end and the margin")
	require.EqualValues(t, 2, s.Observed)
	require.EqualValues(t, 1, s.Moved, "a: last seen at 2, then at 4")
	require.EqualValues(t, 1, s.Detoured)
	require.Equal(t, []uint64{1, 0, 1}, s.ByMoves, "b stayed; a went from 2 to 4, and on to 5")
	require.Zero(t, s.Unobserved)
	require.InDelta(t, 0.4, *s.MinimalShare, 1e-9)
	require.Nil(t, s.PredictedMoved, "this backend can't be predicted")
	require.Nil(t, s.Mispredicted)
	require.EqualValues(t, 1, got.Scattered, "a was at 1 and at 2 while nothing changed")
	require.Len(t, s.Changes, 1)
}

func TestWhatIsNotSeenInBothSettledFleetsIsUnobserved(t *testing.T) {
	for name, answers := range map[string][]tally.Inference{
		"never before":            {answer(0, 10*second, 1)},
		"only in the warm-up":     {answer(0, second, 1), answer(0, 10*second, 1)},
		"never after":             {answer(0, 7*second, 1)},
		"only before it settled":  {answer(0, 7*second, 1), answer(0, 9*second, 2)},
		"answered after the next": {answer(0, 7*second, 1), answer(0, 19950*time.Millisecond, 2)},
		"failed":                  {answer(0, 7*second, 1), {Call: 0, Sent: 10 * second, Done: 10 * second, State: tally.Failed}},
		"sent before, and answered after the event": {
			{Call: 0, Sent: 7900 * time.Millisecond, Done: 8100 * time.Millisecond, State: tally.Warm, Address: address(1)},
			answer(0, 10*second, 1),
		},
	} {
		in := scaling()
		in.Sessions, in.Inferences = []string{"a"}, answers
		got, err := moves.New(in)
		require.NoError(t, err)
		require.Zero(t, got.Steps[0].Observed, name)
		require.Zero(t, got.Steps[0].Moved, name)
		require.EqualValues(t, 1, got.Steps[0].Unobserved, name)
	}
}

func TestAPodRestartedUnderItsAddressIsTheSameAndTheDetourShows(t *testing.T) {
	in := scaling()
	in.Sessions = []string{"a"}
	in.History = []moves.Version{
		{At: -second, Set: set(1, 2, 3)}, {At: 9 * second, Set: set(2, 3)}, {At: 10 * second, Set: set(1, 2, 3)},
	}
	in.Steps[0].Finish = 10 * second
	in.Inferences = []tally.Inference{answer(0, 7*second, 1), answer(0, 9500*time.Millisecond, 2), answer(0, 12*second, 1)}
	got, err := moves.New(in)
	require.NoError(t, err)
	require.Zero(t, got.Steps[0].Moved)
	require.EqualValues(t, 1, got.Steps[0].Detoured)
	require.Equal(t, []uint64{0, 0, 1}, got.Steps[0].ByMoves, "away, and back")
	require.Nil(t, got.Steps[0].MinimalShare, "as many pods as before")
}

func TestMispredictedLooksAtEveryAnswerOfASettledFleet(t *testing.T) {
	in := scaling()
	in.Predict = always(map[string]int{"a": 1, "b": 3})
	in.Inferences = []tally.Inference{
		answer(0, 7*second, 1), answer(0, 10*second, 1), answer(0, 12*second, 2), // strays once
		answer(1, 3*second, 2), answer(1, 7*second, 3), answer(1, 10*second, 3), // strayed before the event
	}
	got, err := moves.New(in)
	require.NoError(t, err)
	require.EqualValues(t, 1, *got.Mispredicted, "b, before the event")
	require.EqualValues(t, 1, *got.Steps[0].Mispredicted, "a, after it")
	require.Zero(t, *got.Steps[0].PredictedMoved)
}

func TestAFleetThatKeepsChangingNeverSettles(t *testing.T) {
	in := scaling()
	in.History = append(in.History, moves.Version{At: 19800 * time.Millisecond, Set: set(1, 2)})
	in.Predict = always(map[string]int{"a": 1, "b": 1})
	in.Inferences = []tally.Inference{answer(0, 7*second, 1), answer(0, 15*second, 1)}
	got, err := moves.New(in)
	require.NoError(t, err)
	require.True(t, got.Steps[0].Window.Empty())
	require.EqualValues(t, 2, got.Steps[0].Unobserved)
	require.Nil(t, got.Steps[0].Mispredicted, "nothing can be said of it")
}

// serve answers every session every 500 ms from where a policy picks in the endpoints in force.
func serve(t require.TestingT, in moves.Input, p affinity.Policy) []tally.Inference {
	var out []tally.Inference
	pickers := make([]affinity.Picker, len(in.History))
	for k, v := range in.History {
		var err error
		pickers[k], err = affinity.New(p, v.Set.Hosts(), affinity.Options{})
		require.NoError(t, err)
	}
	for at := in.From; at < in.To; at += second / 2 {
		var hosts []affinity.Host
		var picker affinity.Picker
		for k, v := range in.History {
			if v.At <= at {
				hosts, picker = v.Set.Hosts(), pickers[k]
			}
		}
		for call, s := range in.Sessions {
			i := answer(call, at, 0)
			i.Address = hosts[picker.Pick(affinity.HashValue(s), 0)].Address
			out = append(out, i)
		}
	}
	return out
}

func TestAFleetThatFollowsTheAlgorithmIsPredictedExactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := scaling()
		in.Sessions = nil
		for k := range 40 {
			in.Sessions = append(in.Sessions, fmt.Sprint("session-", k, "-", rapid.Uint16().Draw(t, "salt")))
		}
		policy := rapid.SampledFrom([]affinity.Policy{affinity.PolicyRing, affinity.PolicyMaglev, affinity.PolicyRendezvous}).Draw(t, "policy")
		in.Inferences = serve(t, in, policy)
		in.Predict = moves.Predict(policy, affinity.Options{})
		got, err := moves.New(in)
		require.NoError(t, err)
		require.Zero(t, *got.Mispredicted)
		require.Zero(t, *got.Steps[0].Mispredicted)
		require.EqualValues(t, 40, got.Steps[0].Observed)
		require.Equal(t, *got.Steps[0].PredictedMoved, got.Steps[0].Moved)
		require.Zero(t, got.Scattered)
	})
}

func TestAFleetThatFollowsAnotherAlgorithmIsMispredicted(t *testing.T) {
	in := scaling()
	in.Sessions = nil
	for k := range 40 {
		in.Sessions = append(in.Sessions, fmt.Sprint("session-", k))
	}
	in.Inferences = serve(t, in, affinity.PolicyModulo)
	in.Predict = moves.Predict(affinity.PolicyRing, affinity.Options{})
	got, err := moves.New(in)
	require.NoError(t, err)
	require.Greater(t, *got.Mispredicted, uint64(10))
	require.Greater(t, *got.Steps[0].Mispredicted, uint64(10))
}

func TestAPolicyThatDoesNotExistIsAnError(t *testing.T) {
	in := scaling()
	in.Predict = moves.Predict("dice", affinity.Options{})
	_, err := moves.New(in)
	require.ErrorIs(t, err, affinity.ErrPolicy)
}
