package registry_test

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/smaran-v2/smaran/services/registry"
	"github.com/smaran-v2/smaran/services/session"
)

// model is what a register should say.
type model struct {
	pods     map[string]modelPod
	sessions map[session.ID]modelSession
	next     int
}

type modelPod struct {
	incarnation string
	state       registry.State
}

type modelSession struct {
	pod, incarnation string
	epoch            uint64
}

func (m *model) live(s modelSession) bool {
	p, ok := m.pods[s.pod]
	return ok && p.incarnation == s.incarnation
}

// TestRegisterKeepsToItsModel drives claims, avoidance, crashes, restarts, drains and sweeps in random order.
func TestRegisterKeepsToItsModel(t *testing.T) {
	mini := miniredis.RunT(t)
	s := store{Client: client(t, mini.Addr()), forward: mini.FastForward}
	r := s.registry()
	sweeper := registry.NewSweeper(r, nil, slog.New(slog.DiscardHandler))
	names := []string{"jarvis-0", "jarvis-1", "jarvis-2"}
	ids := []session.ID{"s-0", "s-1", "s-2", "s-3"}

	// A lease is written as a pod writes it, and deleted as time deletes it.
	lease := func(name string, p modelPod) {
		require.NoError(t, s.Del(t.Context(), "pod:"+name).Err())
		require.NoError(t, s.HSet(t.Context(), "pod:"+name,
			"incarnation", p.incarnation, "address", name+":8080", "state", string(p.state)).Err())
	}

	rapid.Check(t, func(rt *rapid.T) {
		mini.FlushAll()
		m := &model{pods: map[string]modelPod{}, sessions: map[session.ID]modelSession{}}
		rt.Repeat(map[string]func(*rapid.T){
			"start": func(rt *rapid.T) {
				m.next++
				name := rapid.SampledFrom(names).Draw(rt, "pod")
				m.pods[name] = modelPod{fmt.Sprint(m.next), registry.StateReady}
				lease(name, m.pods[name])
			},
			"crash": func(rt *rapid.T) {
				name := rapid.SampledFrom(names).Draw(rt, "pod")
				delete(m.pods, name)
				require.NoError(rt, s.Del(t.Context(), "pod:"+name).Err())
			},
			"drain": func(rt *rapid.T) {
				name := rapid.SampledFrom(names).Draw(rt, "pod")
				if p, ok := m.pods[name]; ok {
					p.state = registry.StateDraining
					m.pods[name] = p
					lease(name, p)
				}
			},
			"sweep": func(rt *rapid.T) {
				want := 0
				for id, was := range m.sessions {
					if was.pod != "" && !m.live(was) {
						want++
						m.sessions[id] = modelSession{epoch: was.epoch}
					}
				}
				got, err := sweeper.Sweep(t.Context())
				require.NoError(rt, err)
				require.Equal(rt, want, got)
			},
			"claim": func(rt *rapid.T) {
				id := rapid.SampledFrom(ids).Draw(rt, "session")
				c := registry.Claim{
					Candidates: rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, len(names), rapid.ID).Draw(rt, "candidates"),
					Avoid:      rapid.SampledFrom(append([]string{""}, names...)).Draw(rt, "avoid"),
					KnownEpoch: rapid.Uint64Range(0, 20).Draw(rt, "known"),
				}
				want, assigned, ok := m.claim(id, c)
				got, gotAssigned, err := r.Claim(t.Context(), id, c)
				if !ok {
					require.ErrorIs(rt, err, registry.ErrNoPods)
					return
				}
				require.NoError(rt, err)
				require.Equal(rt, assigned, gotAssigned)
				require.Equal(rt, registry.Owner{
					Pod: want.pod, Address: want.pod + ":8080", Incarnation: want.incarnation, Epoch: want.epoch,
				}, got)
				require.Greater(rt, want.epoch, uint64(0))
				require.GreaterOrEqual(rt, want.epoch, m.sessions[id].epoch, "an epoch went down")
				m.sessions[id] = want
			},
		})
	})
}

// claim says what a claim should do, in other words than claim.lua: it lists the acceptable owners from best to worst.
func (m *model) claim(id session.ID, c registry.Claim) (want modelSession, assigned, ok bool) {
	was := m.sessions[id]
	ready := slices.DeleteFunc(slices.Clone(c.Candidates), func(name string) bool {
		return m.pods[name].state != registry.StateReady
	})
	others := slices.DeleteFunc(slices.Clone(ready), func(name string) bool { return name == c.Avoid })
	kept := was
	if kept.epoch < c.KnownEpoch {
		kept.epoch = c.KnownEpoch + 1
	}
	fresh := func(name string) modelSession {
		return modelSession{name, m.pods[name].incarnation, max(was.epoch, c.KnownEpoch) + 1}
	}
	switch {
	case m.live(was) && was.pod != c.Avoid:
		return kept, false, true
	case len(others) > 0:
		return fresh(others[0]), true, true
	case m.live(was):
		return kept, false, true
	case len(ready) > 0:
		return fresh(ready[0]), true, true
	}
	return modelSession{}, false, false
}
