package backend_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/mesh"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/smaran/backend"
	"github.com/smaran-v2/smaran/services/smaran/token"
	"github.com/smaran-v2/smaran/services/wire"
)

// statefulKind is one of the two places where tokens travel.
type statefulKind struct {
	kind
	// put makes a client send a value as its token.
	put func(h http.Header, value string)
	// get is the token that a client has.
	get func(h http.Header) string
	// raw is the mesh's own token for an address.
	raw func(address string) string
}

func onBothCarriers(t *testing.T, test func(t *testing.T, k statefulKind)) {
	for _, k := range []statefulKind{
		{
			kind: kind{label: "header", name: backend.StatefulHeader, mesh: mesh.StatefulByHeader},
			put:  func(h http.Header, v string) { h.Set(wire.HeaderStateful, v) },
			get:  func(h http.Header) string { return h.Get(wire.HeaderStateful) },
			raw:  affinity.EncodeHeader,
		},
		{
			kind: kind{label: "cookie", name: backend.StatefulCookie, mesh: mesh.StatefulByCookie},
			put:  func(h http.Header, v string) { h.Set("Cookie", wire.CookieStateful+`="`+v+`"`) },
			get:  func(h http.Header) string { return affinity.CookieValue(h["Cookie"], wire.CookieStateful) },
			raw:  func(address string) string { return affinity.EncodeCookie(address, 0) },
		},
	} {
		t.Run(k.label, func(t *testing.T) { test(t, k) })
	}
}

// refused is how many tokens were refused, by reason.
func (r *rig) refused(t *testing.T) map[string]float64 {
	t.Helper()
	families, err := r.metrics.Gather()
	require.NoError(t, err)
	out := map[string]float64{}
	for _, f := range families {
		if f.GetName() == "smaran_tokens_refused_total" {
			for _, m := range f.GetMetric() {
				out[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	return out
}

func TestNoTokenThatAClientMakesUpSelectsAPod(t *testing.T) {
	onBothCarriers(t, func(t *testing.T, k statefulKind) {
		r := newRig(t, k.kind, 8)
		victim := r.Pod("jarvis-5")
		forger, err := token.NewSealer([]token.Key{token.RandomKey("test")}, time.Hour, clockwork.NewRealClock())
		require.NoError(t, err)
		for reason, forge := range map[string]func(session.ID) string{
			"malformed": func(session.ID) string { return k.raw(victim.Address) },
			"forged":    func(id session.ID) string { return forger.Seal(id, k.raw(victim.Address)) },
			"foreign": func(session.ID) string {
				// A token that smaran itself made, for someone else.
				return r.deps.Sealer.Seal("someone-else", k.raw(victim.Address))
			},
		} {
			hits, before := 0, r.refused(t)[reason]
			const tries = 40
			for _, id := range sessions(tries) {
				clear(r.jars)
				k.put(r.jar(id), forge(id))
				if r.podOf(t, id) == victim.Name {
					hits++
				}
			}
			require.Less(t, hits, tries/2, "%s: an eighth by chance", reason)
			require.InDelta(t, tries, r.refused(t)[reason]-before, 0, reason)
		}
		for _, id := range sessions(40) {
			clear(r.jars)
			k.put(r.jar(id), r.deps.Sealer.Seal(id, k.raw(victim.Address)))
			require.Equal(t, victim.Name, r.podOf(t, id), "control: smaran's own token does")
		}
	})
}

func TestClientsNeverSeeTheMeshsToken(t *testing.T) {
	onBothCarriers(t, func(t *testing.T, k statefulKind) {
		r := newRig(t, k.kind, 3)
		pod := r.Pod(r.podOf(t, "s"))
		sealed := k.get(r.jar("s"))
		require.NotEmpty(t, sealed)
		require.NotContains(t, sealed, k.raw(pod.Address))
		opened, err := r.deps.Sealer.Open("s", sealed)
		require.NoError(t, err)
		require.Equal(t, k.raw(pod.Address), opened.Value)
		for _, h := range pod.Headers() {
			require.NotContains(t, k.get(h), sealed, "nor the mesh and pods smaran's")
		}
	})
}

func TestATokenInUseIsRenewedAndAnOldOneIgnored(t *testing.T) {
	onBothCarriers(t, func(t *testing.T, k statefulKind) {
		clock := clockwork.NewFakeClock()
		r := newRig(t, k.kind, 8, func(d *backend.Deps) {
			sealer, err := token.NewSealer([]token.Key{token.RandomKey("test")}, time.Hour, clock)
			require.NoError(t, err)
			d.Clock, d.Sealer = clock, sealer
		})
		first := r.podOf(t, "s")
		original := k.get(r.jar("s"))
		clock.Advance(20 * time.Minute)
		require.Equal(t, first, r.podOf(t, "s"))
		require.Equal(t, original, k.get(r.jar("s")), "a young one stays as it is")
		clock.Advance(20 * time.Minute)
		require.Equal(t, first, r.podOf(t, "s"))
		require.NotEqual(t, original, k.get(r.jar("s")))
		clock.Advance(30 * time.Minute)
		require.Equal(t, first, r.podOf(t, "s"), "past the first one's time")

		k.put(r.jar("s"), original)
		r.podOf(t, "s")
		require.InDelta(t, 1, r.refused(t)["expired"], 0)
		require.NotEqual(t, original, k.get(r.jar("s")), "the client gets a new one")
	})
}

func TestOnlyTheCookieReachesAPodThatDrains(t *testing.T) {
	onBothCarriers(t, func(t *testing.T, k statefulKind) {
		r := newRig(t, k.kind, 3)
		first := r.podOf(t, "s")
		r.SetHealth(first, endpoints.Draining)
		if k.name == backend.StatefulCookie {
			require.Equal(t, first, r.podOf(t, "s"))
		} else {
			require.NotEqual(t, first, r.podOf(t, "s"))
		}
	})
}

func TestTheRingIsFollowedWhereItNamesAnotherPodAlready(t *testing.T) {
	r := newRig(t, kind{name: backend.IstioHash, mesh: mesh.Ring}, 3)
	before := map[session.ID]string{}
	for _, id := range sessions(60) {
		served, err := r.call(t.Context(), id, "")
		require.NoError(t, err)
		before[id] = served.GetPod()
	}
	r.Add("jarvis-3")
	moved := 0
	for id, lost := range before {
		now := r.podOf(t, id)
		if now == lost {
			continue
		}
		moved++
		served, err := r.call(t.Context(), id, lost)
		require.NoError(t, err)
		require.Equal(t, now, served.GetPod(), "a redial because the ring changed goes where the ring points")
		require.Equal(t, now, r.podOf(t, id), "so that the next request does not misroute")
	}
	require.Positive(t, moved)
}
