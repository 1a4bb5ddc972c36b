package affinity_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/smaran-v2/smaran/services/affinity"
)

func TestPredict(t *testing.T) {
	v := golden(t)
	from, to := v.hosts(), v.hosts()[:2]
	got, err := affinity.Predict(affinity.PolicyRing, affinity.Options{}, from, to, []string{"session-1", "session-2", "room-42"})
	require.NoError(t, err)
	want := affinity.Prediction{
		Total: 3,
		Moved: 0,
		Picks: []affinity.Move{
			{Session: "session-1", From: "10.0.0.2:8080", To: "10.0.0.2:8080"},
			{Session: "session-2", From: "10.0.0.1:8080", To: "10.0.0.1:8080"},
			{Session: "room-42", From: "10.0.0.2:8080", To: "10.0.0.2:8080"},
		},
		LoadFrom: map[string]int{"10.0.0.1:8080": 1, "10.0.0.2:8080": 2, "10.0.0.3:8080": 0},
		LoadTo:   map[string]int{"10.0.0.1:8080": 1, "10.0.0.2:8080": 2},
	}
	require.Empty(t, cmp.Diff(want, got))
}

func TestPredictAgreesWithThePickers(t *testing.T) {
	everyPolicy(t, func(t *testing.T, p affinity.Policy) {
		rapid.Check(t, func(t *rapid.T) {
			from, to := drawHosts(0, 10).Draw(t, "from"), drawHosts(0, 10).Draw(t, "to")
			sessions := rapid.SliceOfN(rapid.String(), 0, 20).Draw(t, "sessions")
			o := affinity.Options{TableSize: 251}
			got, err := affinity.Predict(p, o, from, to, sessions)
			require.NoError(t, err)
			before, after := build(t, p, from, o), build(t, p, to, o)
			moved, load := 0, 0
			require.Len(t, got.Picks, len(sessions))
			for i, m := range got.Picks {
				want := affinity.Move{Session: sessions[i]}
				if at := before.Pick(affinity.HashValue(sessions[i]), 0); at >= 0 {
					want.From = from[at].Address
				}
				if at := after.Pick(affinity.HashValue(sessions[i]), 0); at >= 0 {
					want.To = to[at].Address
					load++
				}
				require.Equal(t, want, m)
				if want.From != want.To {
					moved++
				}
			}
			require.Equal(t, moved, got.Moved)
			require.Equal(t, len(sessions), got.Total)
			for _, n := range got.LoadTo {
				load -= n
			}
			require.Zero(t, load)
		})
	})
}

func TestPredictFails(t *testing.T) {
	_, err := affinity.Predict("none", affinity.Options{}, hosts4(1), hosts4(1), nil)
	require.ErrorIs(t, err, affinity.ErrPolicy)
	_, err = affinity.Predict(affinity.PolicyRing, affinity.Options{}, hosts4(1), tooHeavy(), nil)
	require.ErrorIs(t, err, affinity.ErrWeights)
	require.ErrorContains(t, err, "after the change")
}

func TestMovedShare(t *testing.T) {
	require.Zero(t, affinity.Prediction{}.MovedShare())
	require.InDelta(t, 0.25, affinity.Prediction{Total: 8, Moved: 2}.MovedShare(), 0)
}

func TestLeastMoved(t *testing.T) {
	heavy := hosts4(2)
	heavy[0].Weight = 3
	cases := []struct {
		name     string
		from, to []affinity.Host
		want     float64
	}{
		{"nothing changes", hosts4(3), hosts4(3), 0},
		{"scale out", hosts4(3), hosts4(10), 0.7},
		{"scale in", hosts4(10), hosts4(3), 0.7},
		{"one replaced", hosts4(4)[:3], hosts4(4)[1:], 1.0 / 3},
		{"all replaced", hosts4(4)[:2], hosts4(4)[2:], 1},
		{"weights", hosts4(2), heavy, 0.25},
		{"no hosts", nil, nil, 0},
		{"first hosts", nil, hosts4(2), 1},
		{"last hosts", hosts4(2), nil, 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			require.InDelta(t, c.want, affinity.LeastMoved(c.from, c.to), 1e-12)
		})
	}
}

func TestLeastMovedIsNeverNegative(t *testing.T) {
	for n := 1; n <= 200; n++ {
		hosts := hosts4(n)
		require.GreaterOrEqual(t, affinity.LeastMoved(hosts, hosts), 0.0, n)
	}
}

// TestLeastMovedIsAFloor checks the claim on a policy that attains it and on one that is even and does not.
func TestLeastMovedIsAFloor(t *testing.T) {
	sessions := make([]string, 20_000)
	for i := range sessions {
		sessions[i] = fmt.Sprint("session-", i)
	}
	for _, change := range [][2]int{{3, 10}, {10, 3}, {9, 10}, {5, 4}} {
		from, to := hosts4(change[0]), hosts4(change[1])
		least := affinity.LeastMoved(from, to)
		deviation := math.Sqrt(least * (1 - least) / float64(len(sessions)))
		for _, p := range affinity.Policies() {
			got, err := affinity.Predict(p, affinity.Options{}, from, to, sessions)
			require.NoError(t, err)
			switch p {
			case affinity.PolicyRendezvous:
				require.InDelta(t, least, got.MovedShare(), 4*deviation, "%v", change)
			case affinity.PolicyMaglev:
				require.InDelta(t, least, got.MovedShare(), 0.02, "%v", change)
			default:
				require.Greater(t, got.MovedShare(), least+4*deviation, "%s %v", p, change)
			}
		}
	}
}
