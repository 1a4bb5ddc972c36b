package archive_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/jonboulle/clockwork"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/smaran-v2/smaran/services/jarvis/archive"
	"github.com/smaran-v2/smaran/services/jarvis/state"
	"github.com/smaran-v2/smaran/services/registry"
	"github.com/smaran-v2/smaran/services/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pod is what an archive asks for snapshots.
type pod struct {
	mu       sync.Mutex
	sessions map[session.ID]state.Snapshot
	titles   map[session.ID]state.Title
}

func (p *pod) stand(id session.ID, epoch, turn uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := state.Point{Turn: turn, Checksum: state.Checksum(turn)}
	p.sessions[id] = state.Snapshot{At: at, Recent: []state.Point{at}, Results: []state.Result{{Prompt: "p", Text: fmt.Sprint(turn)}}}
	p.titles[id] = state.Title{Epoch: epoch}
}

func (p *pod) Snapshot(id session.ID) (state.Snapshot, state.Title, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	snap, ok := p.sessions[id]
	if !ok {
		return state.Snapshot{}, state.Title{}, state.ErrUnknown
	}
	return snap, p.titles[id], nil
}

type rig struct {
	*archive.Archive
	*pod
	redis *miniredis.Miniredis
	clock *clockwork.FakeClock
	end   func()
}

func start(t *testing.T, mini *miniredis.Miniredis) *rig {
	t.Helper()
	r := &rig{pod: &pod{sessions: map[session.ID]state.Snapshot{}, titles: map[session.ID]state.Title{}}, redis: mini, clock: clockwork.NewFakeClock()}
	client := registry.NewClient(mini.Addr(), time.Second)
	r.Archive = archive.New(archive.Config{Client: client, TTL: time.Minute, Snapshot: r.pod.Snapshot, Clock: r.clock, Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { r.Run(ctx) })
	r.end = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		closed(t, client)
	})
	t.Cleanup(r.end)
	return r
}

func closed(t *testing.T, c *redis.Client) { require.NoError(t, c.Close()) }

// kept waits until the archive has a session at a turn.
func (r *rig) kept(t *testing.T, id session.ID, turn uint64) (epoch uint64) {
	t.Helper()
	require.Eventually(t, func() bool {
		snap, e, err := r.Load(t.Context(), id)
		epoch = e
		return err == nil && snap.At.Turn == turn
	}, 5*time.Second, time.Millisecond)
	return epoch
}

func TestWhatWasTouchedIsWrittenBehind(t *testing.T) {
	r := start(t, miniredis.RunT(t))
	_, _, err := r.Load(t.Context(), "a")
	require.ErrorIs(t, err, archive.ErrNotFound)
	for turn := range uint64(100) {
		r.stand("a", 1, turn+1)
		r.Touch("a")
	}
	require.EqualValues(t, 1, r.kept(t, "a", 100))
	snap, _, err := r.Load(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, []state.Result{{Prompt: "p", Text: "100"}}, snap.Results)
	require.Equal(t, time.Minute, r.redis.TTL("state:a"))
}

func TestAnEarlierConversationNeverReplacesALaterOne(t *testing.T) {
	mini := miniredis.RunT(t)
	late, early := start(t, mini), start(t, mini)
	late.stand("a", 2, 7)
	late.Touch("a")
	late.kept(t, "a", 7)
	early.stand("a", 1, 9) // who was passed over
	early.Touch("a")
	early.stand("b", 1, 1)
	early.Touch("b")
	early.kept(t, "b", 1)
	require.EqualValues(t, 2, late.kept(t, "a", 7))
}

func TestTheEndWritesWhatIsLeft(t *testing.T) {
	mini := miniredis.RunT(t)
	r := start(t, mini)
	for i := range 300 {
		id := session.ID(fmt.Sprintf("s-%d", i))
		r.stand(id, 1, 1)
		r.Touch(id)
	}
	r.end()
	require.Len(t, mini.Keys(), 300)
}

func TestARedisThatIsAwayIsWrittenOnceItIsBack(t *testing.T) {
	mini := miniredis.RunT(t)
	r := start(t, mini)
	mini.SetError("LOADING")
	r.stand("a", 1, 1)
	r.Touch("a")
	require.NoError(t, r.clock.BlockUntilContext(t.Context(), 1)) // it waits to try again
	_, _, err := r.Load(t.Context(), "a")
	require.ErrorIs(t, err, archive.ErrUnavailable)
	mini.SetError("")
	r.clock.Advance(time.Second)
	r.kept(t, "a", 1)
}

// TestWhatCantBeEncodedHoldsUpNothingElse: prompts are checked before; this is what is left of one that was not.
func TestWhatCantBeEncodedHoldsUpNothingElse(t *testing.T) {
	r := start(t, miniredis.RunT(t))
	r.stand("bad", 1, 1)
	r.sessions["bad"].Results[0].Prompt = "\xff"
	r.stand("good", 1, 1)
	r.Touch("bad")
	r.Touch("good")
	r.kept(t, "good", 1)
}

func TestWhatAnotherPodOwnsIsNotWritten(t *testing.T) {
	mini := miniredis.RunT(t)
	r := start(t, mini)
	r.stand("a", 1, 1)
	r.titles["a"] = state.Title{Epoch: 2, Owner: "jarvis-2"}
	r.Touch("a")
	r.end()
	require.Empty(t, mini.Keys())
}
