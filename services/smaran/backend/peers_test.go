package backend_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	smaranv1 "github.com/smaran-v2/smaran/proto/smaran/v1"
	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/mesh"
	"github.com/smaran-v2/smaran/services/smaran/backend"
	"github.com/smaran-v2/smaran/services/smaran/internal/core"
	"github.com/smaran-v2/smaran/services/wire"
)

// count is a counter of smaran's, over all its labels.
func (r *rig) count(t *testing.T, name string) float64 {
	t.Helper()
	families, err := r.metrics.Gather()
	require.NoError(t, err)
	var sum float64
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

const misaddressed = "smaran_misaddressed_total"

func TestAddressedRequestsTakeTheWayToPeers(t *testing.T) {
	onEveryBackend(t, func(t *testing.T, k kind) {
		r := newRig(t, k, 3)
		// As the pod sees it, behind the mesh that stands in for Envoy.
		lastCookie := func(pod string) string {
			all := r.Pod(pod).Headers()
			return affinity.CookieValue(all[len(all)-1]["Cookie"], wire.CookieStateful)
		}
		for _, id := range sessions(10) {
			before, err := r.call(t.Context(), id, "")
			require.NoError(t, err)
			after, err := r.call(t.Context(), id, before.GetPod()) // every backend addresses a redial
			require.NoError(t, err)
			redial := lastCookie(after.GetPod())
			_, err = r.service.Fleet(t.Context(), &smaranv1.GetFleetRequest{})
			require.NoError(t, err)
			for _, cookie := range []string{redial, lastCookie(after.GetPod())} {
				if k.peers {
					require.Equal(t, affinity.EncodeCookie(after.GetAddress(), 0), cookie)
				} else {
					require.Empty(t, cookie, "control: a pod that is reached at its address needs none")
				}
			}
		}
		require.Zero(t, r.count(t, misaddressed))
	})
}

func TestNoCookieOfAClientChoosesThePeer(t *testing.T) {
	for _, k := range kinds() {
		if !k.peers {
			continue
		}
		t.Run(k.label, func(t *testing.T) {
			r := newRig(t, k, 8)
			victim, hits := r.Pod("jarvis-5"), 0
			const tries = 40
			for _, id := range sessions(tries) {
				clear(r.jars)
				r.jar(id).Set("Cookie", wire.CookiePeer+`="`+affinity.EncodeCookie(victim.Address, 0)+`"`)
				if r.podOf(t, id) == victim.Name {
					hits++
				}
			}
			require.Less(t, hits, tries/2, "an eighth by chance")
		})
	}
}

func TestThePeersCookieDoesNotReachClients(t *testing.T) {
	onEveryBackend(t, func(t *testing.T, k kind) {
		r := newRig(t, k, 3)
		// A redial whose pod is dead but listed is answered by another one, whose cookie the mesh sets.
		r.kill("jarvis-1")
		for _, id := range sessions(20) {
			_, reply, _ := r.service.PlaceCall(within(t.Context(), id), core.Incoming{Header: http.Header{}},
				&smaranv1.PlaceCallRequest{Sdp: "offer", LostPod: "jarvis-0"})
			require.NotContains(t, strings.Join(reply.Header["Set-Cookie"], "\n"), wire.CookiePeer)
		}
		if k.peers {
			require.Positive(t, r.count(t, misaddressed), "control: some were answered by another pod")
		} else {
			require.Zero(t, r.count(t, misaddressed))
		}
	})
}

func TestTheRegisterFollowsASessionThatTheMeshTookElsewhere(t *testing.T) {
	for label, peers := range map[string]bool{"peers": true, "direct": false} {
		t.Run(label, func(t *testing.T) {
			r := newRig(t, kind{name: backend.Redis, redis: true, peers: peers}, 4)
			owner := r.podOf(t, "s")
			epoch := r.mini.HGet("sess:s", "epoch")
			r.kill(owner) // still listed, with its lease

			res, err := r.ask(t.Context(), "s")
			require.NoError(t, err)
			now := res.GetServed().GetPod()
			require.NotEqual(t, owner, now)
			for range 3 {
				require.Equal(t, now, r.podOf(t, "s"), "it stays where it was served")
			}
			require.Equal(t, now, r.mini.HGet("sess:s", "pod"), "and is claimed for that pod")
			require.NotEqual(t, epoch, r.mini.HGet("sess:s", "epoch"), "as a new owner")
			if peers {
				require.InDelta(t, 1, r.count(t, misaddressed), 0)
			} else {
				require.Zero(t, r.count(t, misaddressed), "control: without a mesh the request fails, and is claimed anew")
				require.InDelta(t, 1, r.count(t, "smaran_retries_total"), 0)
			}
		})
	}
}

func TestTokensNameThePodThatAnswered(t *testing.T) {
	onBothCarriers(t, func(t *testing.T, k statefulKind) {
		k.peers = true
		r := newRig(t, k.kind, 4)
		r.kill("jarvis-1")
		for _, id := range sessions(30) {
			clear(r.jars)
			served, err := r.call(t.Context(), id, "jarvis-0")
			require.NoError(t, err)
			opened, err := r.deps.Sealer.Open(id, k.get(r.jar(id)))
			require.NoError(t, err)
			require.Equal(t, k.raw(served.GetAddress()), opened.Value)
		}
		require.Positive(t, r.count(t, misaddressed), "control: some redials were addressed to the dead pod")
	})
}

func TestARefusalOfTheWrongPodIsNotTheOwners(t *testing.T) {
	r := newRig(t, kind{name: backend.AppHash, peers: true}, 3)
	served, err := r.call(t.Context(), "s", "")
	require.NoError(t, err)
	r.kill(served.GetPod())
	_, _, err = r.service.EndCall(within(t.Context(), "s"), core.Incoming{Header: http.Header{}}, &smaranv1.EndCallRequest{})
	var failed *core.Error
	require.ErrorAs(t, err, &failed)
	require.Equal(t, wire.CodeOwnerMoved, failed.Code, "the pod that answered has no such call")
	require.NotEqual(t, served.GetPod(), failed.Header.Get(wire.HeaderPod), "and says who it is")
	require.InDelta(t, 1, r.count(t, misaddressed), 0)
}

func TestAPodThatIsOutOfReachForTheMeshToo(t *testing.T) {
	r := newRig(t, kind{name: backend.Redis, redis: true, peers: true}, 1)
	require.Equal(t, "jarvis-0", r.podOf(t, "s"))
	r.kill("jarvis-0")
	_, err := r.ask(t.Context(), "s")
	var failed *core.Error
	require.ErrorAs(t, err, &failed)
	require.Equal(t, wire.CodeUpstreamUnavailable, failed.Code)
	require.Zero(t, r.count(t, misaddressed), "nobody answered")
	require.InDelta(t, 1, r.count(t, "smaran_retries_total"), 0, "nothing was sent, so it is claimed anew")
}

func TestADrainingPodIsReachedByItsAddress(t *testing.T) {
	r := newRig(t, kind{name: backend.RedisPlain, redis: true, peers: true, mesh: mesh.Ring}, 3)
	first := r.podOf(t, "s")
	r.SetHealth(first, endpoints.Draining)
	require.Equal(t, first, r.podOf(t, "s"))
	require.Zero(t, r.count(t, misaddressed))
}
