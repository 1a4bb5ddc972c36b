package edge_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/smaran/backend"
	"github.com/smaran-v2/smaran/services/smaran/internal/podtest"
	"github.com/smaran-v2/smaran/services/wire"
)

func TestWHIP(t *testing.T) {
	s := start(t, podtest.NewFleet(t, 3))
	placed := s.place(t, "s")
	call := placed.Header.Get("Location")
	require.Equal(t, "/v1/calls/s", call)
	require.Equal(t, podtest.ETag, placed.Header.Get("ETag"))
	require.Equal(t, wire.ContentTypeSDP, placed.Header.Get("Content-Type"))
	require.Equal(t, wire.ContentTypeSDPFragment, placed.Header.Get(wire.HeaderAcceptPatch))
	pod := s.Pod(placed.Header.Get(wire.HeaderPod))
	require.True(t, pod.Holds("s"))

	// Below the call's URL the path names the session: none of these has the header.
	res, body := s.do(t, request{method: http.MethodPatch, path: call, body: "a=candidate",
		header: as("", "Content-Type", wire.ContentTypeSDPFragment, "If-Match", placed.Header.Get("ETag"))})
	require.Equal(t, http.StatusNoContent, res.StatusCode, body)
	require.Empty(t, body)
	require.Equal(t, pod.Name, res.Header.Get(wire.HeaderPod))

	res, body = s.do(t, request{method: http.MethodPost, path: wire.PathCallControl("s"), body: `{"mute":{"muted":true}}`,
		header: as("", "Content-Type", wire.ContentTypeJSON)})
	require.Equal(t, http.StatusOK, res.StatusCode, body)
	require.Contains(t, body, pod.Name)

	res, body = s.do(t, request{method: http.MethodDelete, path: call})
	require.Equal(t, http.StatusOK, res.StatusCode, body)
	require.False(t, pod.Holds("s"))
	res, _ = s.do(t, request{method: http.MethodDelete, path: call})
	require.Equal(t, http.StatusConflict, res.StatusCode, "it is over")
}

func TestOptionsDescribesTheResources(t *testing.T) {
	s := start(t, podtest.NewFleet(t, 1))
	res, _ := s.do(t, request{method: http.MethodOptions, path: wire.PathCalls})
	require.Equal(t, http.StatusNoContent, res.StatusCode)
	require.Equal(t, wire.ContentTypeSDP, res.Header.Get("Accept-Post"))
	res, _ = s.do(t, request{method: http.MethodOptions, path: wire.PathCall("s")})
	require.Equal(t, wire.ContentTypeSDPFragment, res.Header.Get(wire.HeaderAcceptPatch))
}

func TestARedialIsAddressed(t *testing.T) {
	s := start(t, podtest.NewFleet(t, 4), func(set *settings) { set.backend = backend.IstioHash })
	lost := s.place(t, "s").Header.Get(wire.HeaderPod)
	s.Pod(lost).Kill() // the mesh still lists it: the ring names a dead pod
	res, _ := s.do(t, request{method: http.MethodGet, path: wire.PathInference, header: as("s")})
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode, "control")
	again := s.place(t, "s", wire.HeaderLostPod, lost).Header.Get(wire.HeaderPod)
	require.NotEqual(t, lost, again)
	s.Unlist(lost)
	res, _ = s.do(t, request{method: http.MethodGet, path: wire.PathInference, header: as("s")})
	require.Equal(t, again, res.Header.Get(wire.HeaderPod), "the ring without it agrees")
}

func TestOnlyTheEventStreamKnowsWhereTheCallWasPlaced(t *testing.T) {
	s := start(t, podtest.NewFleet(t, 2), func(set *settings) { set.backend = backend.IstioHash })
	named := s.place(t, "s").Header.Get(wire.HeaderPod)
	at := s.place(t, "s", wire.HeaderLostPod, named).Header.Get(wire.HeaderPod)
	require.NotEqual(t, named, at)

	require.Equal(t, at, s.events(t, "s").next(t).pod(t), "the stream is held to the pod of the call")
	for name, r := range map[string]request{
		"PATCH":   {method: http.MethodPatch, path: wire.PathCall("s"), body: "a=candidate", header: as("", "Content-Type", wire.ContentTypeSDPFragment)},
		"control": {method: http.MethodPost, path: wire.PathCallControl("s"), body: `{"mute":{}}`, header: as("", "Content-Type", wire.ContentTypeJSON)},
	} {
		before := len(s.Pod(named).Headers())
		res := s.send(t, r)
		_ = res
		require.Len(t, s.Pod(named).Headers(), before+1, "%s goes the backend's way", name)
	}
}
