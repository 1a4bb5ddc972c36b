package backend_test

import (
	"context"
	"maps"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	smaranv1 "github.com/smaran-v2/smaran/proto/smaran/v1"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/smaran/backend"
	"github.com/smaran-v2/smaran/services/smaran/internal/core"
	"github.com/smaran-v2/smaran/services/wire"
)

// onEveryBackend runs one rule of the interface against all backends.
func onEveryBackend(t *testing.T, test func(t *testing.T, k kind)) {
	for _, k := range kinds() {
		t.Run(k.label, func(t *testing.T) { test(t, k) })
	}
}

func TestEveryBackendIsCovered(t *testing.T) {
	covered := map[backend.Name]bool{}
	for _, k := range kinds() {
		covered[k.name] = true
	}
	for _, name := range backend.Names() {
		require.True(t, covered[name], "%s is in no row of kinds", name)
	}
}

func TestASessionStaysWhileTheEndpointsDo(t *testing.T) {
	onEveryBackend(t, func(t *testing.T, k kind) {
		r := newRig(t, k, 4)
		moved, used := 0, map[string]bool{}
		for _, id := range sessions(40) {
			pods := map[string]bool{}
			for range 5 {
				pods[r.podOf(t, id)] = true
			}
			maps.Copy(used, pods)
			if len(pods) > 1 {
				moved++
			}
		}
		require.Len(t, used, 4, "the sessions use all pods")
		if k.sticky {
			require.Zero(t, moved, "sessions that moved")
		} else {
			require.Equal(t, 40, moved, "control: nothing holds a session")
		}
	})
}

func TestWithoutASessionRequestsSpread(t *testing.T) {
	onEveryBackend(t, func(t *testing.T, k kind) {
		r := newRig(t, k, 3)
		used := map[string]int{}
		for range 60 {
			clear(r.jars) // a client without a session has nothing to keep either
			used[r.podOf(t, "")]++
		}
		require.Len(t, used, 3, "%v", used)
	})
}

func TestConcurrentFirstRequests(t *testing.T) {
	onEveryBackend(t, func(t *testing.T, k kind) {
		r := newRig(t, k, 5)
		for _, id := range sessions(5) {
			const clients = 16
			var (
				wg   sync.WaitGroup
				pods [clients]string
				errs [clients]error
			)
			for i := range clients {
				wg.Go(func() {
					res, _, err := r.service.Infer(session.NewContext(t.Context(), id), core.Incoming{Header: http.Header{}}, &smaranv1.InferRequest{})
					pods[i], errs[i] = res.GetServed().GetPod(), err
				})
			}
			wg.Wait()
			for i := range clients {
				require.NoError(t, errs[i])
				if k.agrees {
					require.Equal(t, pods[0], pods[i])
				}
			}
			if k.sticky {
				settled := r.podOf(t, id)
				require.Equal(t, settled, r.podOf(t, id), "it settles on one")
			}
		}
	})
}

func TestARedialLeavesTheLostPod(t *testing.T) {
	onEveryBackend(t, func(t *testing.T, k kind) {
		r := newRig(t, k, 4)
		for _, id := range sessions(20) {
			before, err := r.call(t.Context(), id, "")
			require.NoError(t, err)
			// The lost pod still answers and is still listed: only its name keeps the redial away from it.
			after, err := r.call(t.Context(), id, before.GetPod())
			require.NoError(t, err)
			require.NotEqual(t, before.GetPod(), after.GetPod())
			if k.follows {
				require.Equal(t, after.GetPod(), r.podOf(t, id), "requests follow the call")
			}
		}
	})
}

func TestARedialGoesWhereTheSessionWillBe(t *testing.T) {
	onEveryBackend(t, func(t *testing.T, k kind) {
		if !k.sticky {
			return // it will be anywhere
		}
		r := newRig(t, k, 5)
		where := map[session.ID]string{}
		for _, id := range sessions(60) {
			before, err := r.call(t.Context(), id, "")
			require.NoError(t, err)
			if before.GetPod() != "jarvis-2" {
				continue
			}
			after, err := r.call(t.Context(), id, "jarvis-2")
			require.NoError(t, err)
			where[id] = after.GetPod()
		}
		require.NotEmpty(t, where)
		r.kill("jarvis-2")
		r.Remove("jarvis-2")
		for id, pod := range where {
			require.Equal(t, pod, r.podOf(t, id))
		}
	})
}

func TestARedialToTheOnlyPodThereIs(t *testing.T) {
	onEveryBackend(t, func(t *testing.T, k kind) {
		r := newRig(t, k, 1)
		got, err := r.call(t.Context(), "s", "jarvis-0")
		require.NoError(t, err)
		require.Equal(t, "jarvis-0", got.GetPod(), "it may have come back, and there is no other")
	})
}

func TestARedialThatNamesAnUnknownPod(t *testing.T) {
	onEveryBackend(t, func(t *testing.T, k kind) {
		r := newRig(t, k, 3)
		before, err := r.call(t.Context(), "s", "")
		require.NoError(t, err)
		after, err := r.call(t.Context(), "s", "jarvis-99")
		require.NoError(t, err)
		if k.agrees {
			require.Equal(t, before.GetPod(), after.GetPod(), "a name that is nobody's moves nothing")
		}
	})
}

func TestAPodThatIsGoneLosesItsSessions(t *testing.T) {
	onEveryBackend(t, func(t *testing.T, k kind) {
		r := newRig(t, k, 3)
		ids := sessions(30)
		before := map[session.ID]string{}
		for _, id := range ids {
			before[id] = r.podOf(t, id)
		}
		r.kill("jarvis-1")
		r.Remove("jarvis-1")
		for _, id := range ids {
			after := r.podOf(t, id)
			require.NotEqual(t, "jarvis-1", after)
			if k.sticky {
				require.Equal(t, after, r.podOf(t, id), "it stays at its new pod")
			}
		}
	})
}

func TestNoPods(t *testing.T) {
	onEveryBackend(t, func(t *testing.T, k kind) {
		r := newRig(t, k, 0)
		for name, ask := range map[string]func() error{
			"inference": func() error { _, err := r.ask(t.Context(), "s"); return err },
			"redial":    func() error { _, err := r.call(t.Context(), "s", "jarvis-0"); return err },
		} {
			err := ask()
			var failed *core.Error
			require.ErrorAs(t, err, &failed, name)
			require.Equal(t, wire.CodeNoPods, failed.Code, name)
		}
		r.Add("jarvis-0")
		require.Equal(t, "jarvis-0", r.podOf(t, "s"), "control: it is the pods that were missing")
	})
}

func TestACancelledRequestIsNotRouted(t *testing.T) {
	onEveryBackend(t, func(t *testing.T, k kind) {
		r := newRig(t, k, 1)
		b, err := backend.New(k.name, r.deps)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		_, err = b.Route(ctx, backend.Request{Session: "s", Header: http.Header{}})
		require.NoError(t, err)
		cancel()
		for _, req := range []backend.Request{{Session: "s"}, {Session: "new"}, {Session: "s", LostPod: "jarvis-0"}, {}} {
			req.Header = http.Header{}
			_, err := b.Route(ctx, req)
			require.ErrorIs(t, err, context.Canceled)
		}
		require.Equal(t, "jarvis-0", r.podOf(t, "s"), "and nobody else suffers from it")
	})
}

func TestUnknownAndUnconfiguredNames(t *testing.T) {
	deps := newRig(t, kind{name: backend.AppHash}, 1).deps
	_, err := backend.New("istio", deps)
	require.ErrorIs(t, err, backend.ErrUnknown)
	require.ErrorContains(t, err, "istio-hash", "it says what there is")
	_, err = backend.NewSet(deps).Get("istio")
	require.ErrorIs(t, err, backend.ErrUnknown)

	deps.Sealer = nil
	for _, name := range []backend.Name{backend.Redis, backend.RedisPlain, backend.IstioHash, backend.StatefulHeader, backend.StatefulCookie} {
		_, err := backend.New(name, deps)
		require.ErrorIs(t, err, backend.ErrUnconfigured)
		_, err = backend.NewSet(deps).Get(name)
		require.ErrorIs(t, err, backend.ErrUnconfigured)
	}
	deps.MeshURL = "http://127.0.0.1:1"
	_, err = backend.New(backend.StatefulHeader, deps)
	require.ErrorIs(t, err, backend.ErrUnconfigured, "no keys")
	var name backend.Name
	require.NoError(t, name.UnmarshalText([]byte("app-hash")))
	require.Equal(t, backend.AppHash, name)
	require.ErrorIs(t, name.UnmarshalText([]byte("app")), backend.ErrUnknown)
}
