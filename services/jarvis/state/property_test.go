package state_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/smaran-v2/smaran/services/jarvis/state"
	"github.com/smaran-v2/smaran/services/session"
)

// TestStoreKeepsItsInvariants drives a store by random requests, calls and pauses, and compares each answer with a model:
// within a copy the turn rises by one and the checksum follows from the last, whatever else happens; a copy ends only by a
// drop that was counted; sessions in use stay.
func TestStoreKeepsItsInvariants(t *testing.T) {
	const limit = 3
	ids := []session.ID{"a", "b", "c", "d", "e"}
	rapid.Check(t, func(t *rapid.T) {
		store := newStore(t, limit)
		at := map[session.ID]state.Point{}     // of copies the store may still have
		seen := map[session.ID][]state.Point{} // points of the current copy
		pinned := map[session.ID]bool{}
		anyID := rapid.SampledFrom(ids)
		forget := func() {
			for id := range at {
				if !store.Has(id) {
					require.False(t, pinned[id], "a pinned session was dropped")
					delete(at, id)
					delete(seen, id)
				}
			}
		}
		request := func(t *rapid.T, last func(session.ID) state.Point) {
			id := anyID.Draw(t, "session")
			known := store.Has(id)
			prompt := rapid.SampledFrom([]string{"", "x", "y", "z"}).Draw(t, "prompt")
			from := last(id)
			held, release, err := store.Hold(id, 0)
			if err != nil {
				require.ErrorIs(t, err, state.ErrFull)
				require.False(t, known)
				require.Len(t, pinned, limit)
				return
			}
			defer release()
			forget()
			before := at[id]
			stale := from != state.Point{} && !slices.Contains(seen[id], from)
			inference := held.Begin(state.Request{Prompt: prompt, Last: from})
			store.clock.Advance(inference.Wait)
			answered := inference.Finish()

			if before == (state.Point{}) || stale {
				require.Equal(t, cold, inference.State)
				before, seen[id] = state.Point{}, nil
				if from != (state.Point{}) {
					seen[id] = append(seen[id], from)
				}
			} else {
				require.NotEqual(t, cold, inference.State)
			}
			require.Equal(t, before, answered.Previous)
			require.Equal(t, before.Turn+1, answered.Turn)
			require.Equal(t, before.Checksum.Next(answered.Turn, prompt), answered.Checksum)
			at[id] = answered.Point
			seen[id] = append(seen[id], answered.Point)
		}
		t.Repeat(map[string]func(*rapid.T){
			"request": func(t *rapid.T) { request(t, func(session.ID) state.Point { return state.Point{} }) },
			"request from what was seen": func(t *rapid.T) {
				request(t, func(id session.ID) state.Point { return at[id] })
			},
			"request from elsewhere": func(t *rapid.T) {
				request(t, func(session.ID) state.Point {
					return state.Point{Turn: rapid.Uint64Range(1, 3).Draw(t, "turn"), Checksum: state.Checksum(rapid.Uint64().Draw(t, "checksum"))}
				})
			},
			"call": func(t *rapid.T) {
				if id := anyID.Draw(t, "session"); store.Has(id) {
					store.Pin(id, true)
					pinned[id] = true
				}
			},
			"hang up": func(t *rapid.T) {
				id := anyID.Draw(t, "session")
				store.Pin(id, false)
				delete(pinned, id)
			},
			"pause": func(t *rapid.T) {
				store.clock.Advance(idleTime / 3 * 2)
			},
			"": func(t *rapid.T) {
				forget()
				require.LessOrEqual(t, store.Len(), limit)
				for _, kept := range store.List() {
					require.Equal(t, at[kept.ID], kept.At)
				}
			},
		})
	})
}
