package fakefleet_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/fakefleet"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/wire"
)

func TestATokenIsGoodForItsSessionOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := fakefleet.New(2, fakefleet.Ring)
		transport := f.Transport()
		defer func() {
			transport.CloseIdleConnections()
			require.NoError(t, f.Down(t.Context()))
		}()
		place := func(id, token string) (int, string) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, fakefleet.URL+wire.PathCalls, strings.NewReader("v=0"))
			require.NoError(t, err)
			req.Header.Set(session.Header, id)
			if token != "" {
				req.Header.Set(wire.HeaderMigrate, token)
			}
			res, err := transport.RoundTrip(req)
			require.NoError(t, err)
			defer res.Body.Close()
			return res.StatusCode, res.Header.Get(wire.HeaderPod)
		}
		status, pod := place("s", "")
		require.Equal(t, http.StatusCreated, status)
		other := map[string]string{"jarvis-1": "jarvis-2", "jarvis-2": "jarvis-1"}[pod]
		f.Migrate("s", other)
		for _, refused := range []struct{ id, token string }{{"stranger", "token-1"}, {"s", "token-2"}} {
			status, _ = place(refused.id, refused.token)
			require.Equal(t, http.StatusBadRequest, status)
		}
		status, pod = place("s", "token-1")
		require.Equal(t, http.StatusCreated, status)
		require.Equal(t, other, pod, "whatever the ring says")
	})
}
