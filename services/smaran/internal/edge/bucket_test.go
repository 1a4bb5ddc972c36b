package edge_test

import (
	"net/http"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/smaran/backend"
	"github.com/smaran-v2/smaran/services/smaran/internal/podtest"
	"github.com/smaran-v2/smaran/services/wire"
)

// A mesh routes by it, so that it is on every request, and what a client says of it counts for nothing.
func TestPodsAreToldTheSessionsBucket(t *testing.T) {
	s := start(t, podtest.NewFleet(t, 1), func(set *settings) { set.mode, set.backend = session.Lenient, backend.IstioHash })
	for _, header := range []http.Header{as("session-1"), as("session-1", wire.HeaderSessionBucket, "5")} {
		res, body := s.do(t, request{method: http.MethodGet, path: wire.PathInference, header: header})
		require.Equal(t, http.StatusOK, res.StatusCode, body)
	}
	res, body := s.do(t, request{method: http.MethodPost, path: wire.PathCalls, header: as("session-1", "Content-Type", wire.ContentTypeSDP), body: "offer"})
	require.Equal(t, http.StatusCreated, res.StatusCode, body)
	events := s.send(t, request{method: http.MethodGet, path: wire.PathCallEvents("session-1")})
	require.NoError(t, events.Body.Close())
	told := s.Pod("jarvis-0").Headers()
	require.Len(t, told, 4)
	for _, h := range told {
		require.Equal(t, []string{strconv.Itoa(session.ID("session-1").Bucket())}, h.Values(wire.HeaderSessionBucket))
	}

	res, body = s.do(t, request{method: http.MethodGet, path: wire.PathInference})
	require.Equal(t, http.StatusOK, res.StatusCode, body)
	require.Empty(t, s.Pod("jarvis-0").Headers()[4].Values(wire.HeaderSessionBucket), "no session, no bucket")
}
