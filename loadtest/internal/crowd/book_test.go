package crowd

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/durationpb"
	"pgregory.net/rapid"

	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
)

// TestABookOfManyThingsKeepsWhatMatters writes more than a book has room for.
func TestABookOfManyThingsKeepsWhatMatters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		clock := clockwork.NewFakeClock()
		b := newBook(clock, 3)
		sessions := rapid.IntRange(1, 40).Draw(t, "sessions")
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		longest, isUp, inferences, written := map[string]time.Duration{}, map[string]string{}, 0, 0
		for range rapid.SampledFrom([]int{0, 1, keep, 10 * keep}).Draw(t, "details") {
			written++
			session := fmt.Sprint("s", random.IntN(sessions))
			switch n := random.IntN(8); {
			case n < 3:
				length := time.Duration(20+random.IntN(5000)) * time.Millisecond
				longest[session] = max(longest[session], length)
				b.gap(clock.Now(), &stagev1.MediaGap{Session: session, Length: durationpb.New(length)})
			case n < 6:
				pod := []string{"", "p1", "p2"}[random.IntN(3)]
				isUp[session] = pod
				b.call(clock.Now(), &stagev1.CallChange{Session: session, Up: pod != "", Pod: pod})
			case n == 6:
				inferences++
				b.inference(clock.Now(), &stagev1.CrowdInference{Session: session, Error: fmt.Sprint(inferences)})
			default:
				b.occurrence(clock.Now(), &stagev1.Occurrence{Session: session, Class: "misroutes"})
			}
		}
		clock.Advance(time.Second)
		seen := b.read()
		if written == 0 {
			require.Nil(t, seen)
			return
		}
		require.EqualValues(t, 3, seen.GetTake())
		told := len(seen.GetGaps()) + len(seen.GetCalls()) + len(seen.GetInferences()) + len(seen.GetOccurrences())
		require.Equal(t, written, told+int(seen.GetUntold()), "all is told or counted")
		for _, n := range []int{len(seen.GetGaps()), len(seen.GetCalls()), len(seen.GetInferences()), len(seen.GetOccurrences())} {
			require.LessOrEqual(t, n, keep)
		}
		for _, g := range seen.GetGaps() {
			require.Equal(t, time.Second, g.GetAgo().AsDuration())
			if longest[g.GetSession()] == g.GetLength().AsDuration() {
				delete(longest, g.GetSession())
			}
		}
		require.Empty(t, longest, "the longest gap of each")
		last := map[string]string{}
		for _, c := range seen.GetCalls() {
			last[c.GetSession()] = c.GetPod()
		}
		require.Equal(t, isUp, last, "how each call is now")
		for i, x := range seen.GetInferences() {
			require.Equal(t, fmt.Sprint(inferences-len(seen.GetInferences())+i+1), x.GetError(), "the latest, in their order")
		}
		require.Nil(t, b.read(), "once")
	})
}

func TestAClosedBookRemembersWhoIsUp(t *testing.T) {
	clock := clockwork.NewFakeClock()
	b := newBook(clock, 1)
	b.call(clock.Now(), &stagev1.CallChange{Session: "s1", Up: true, Pod: "p1"})
	b.call(clock.Now(), &stagev1.CallChange{Session: "s2", Up: true, Pod: "p1"})
	require.Zero(t, b.open(), "it is open")
	require.Len(t, b.read().GetCalls(), 2)
	b.occurrence(clock.Now(), &stagev1.Occurrence{Session: "s1"})
	require.Equal(t, 1, b.close())
	clock.Advance(time.Minute)
	b.occurrence(clock.Now(), &stagev1.Occurrence{Session: "s1"})
	b.call(clock.Now(), &stagev1.CallChange{Session: "s2"})
	b.call(clock.Now(), &stagev1.CallChange{Session: "s3", Up: true, Pod: "p2"})
	clock.Advance(time.Minute)
	require.EqualValues(t, 3, b.open())
	seen := b.read()
	require.Empty(t, seen.GetOccurrences())
	require.Zero(t, seen.GetUntold())
	require.Len(t, seen.GetCalls(), 2)
	require.Equal(t, "s1", seen.GetCalls()[0].GetSession())
	require.Equal(t, 2*time.Minute, seen.GetCalls()[0].GetAgo().AsDuration())
	require.Equal(t, "s3", seen.GetCalls()[1].GetSession())
	require.Equal(t, time.Minute, seen.GetCalls()[1].GetAgo().AsDuration())
}
