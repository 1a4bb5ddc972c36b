package healthcheck_test

import (
	"errors"
	"log/slog"
	"net"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/internal/admin"
	"github.com/smaran-v2/smaran/services/internal/healthcheck"
)

func TestReadyIsWhatTheAdminPortSays(t *testing.T) {
	ready := errors.New("weights are loading")
	server := httptest.NewServer(admin.New(admin.Options{
		Registry: prometheus.NewRegistry(), Ready: func() error { return ready }, Log: slog.New(slog.DiscardHandler),
	}))
	defer server.Close()
	address := server.Listener.Addr().String()

	err := healthcheck.Ready(t.Context(), address)
	require.ErrorIs(t, err, healthcheck.ErrNotReady)
	require.ErrorContains(t, err, "weights are loading")

	ready = nil
	require.NoError(t, healthcheck.Ready(t.Context(), address))
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	// As the configuration has it where a service listens on every address.
	require.NoError(t, healthcheck.Ready(t.Context(), ":"+port))
	require.NoError(t, healthcheck.Ready(t.Context(), "0.0.0.0:"+port))
}

func TestReadyFailsWhereNobodyAnswers(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	require.ErrorIs(t, healthcheck.Ready(t.Context(), listener.Addr().String()), healthcheck.ErrNotReady)
	require.ErrorIs(t, healthcheck.Ready(t.Context(), "9090"), healthcheck.ErrNotReady)
}

func TestAskedIsOnlyTheOneWord(t *testing.T) {
	require.True(t, healthcheck.Asked([]string{"health"}))
	require.False(t, healthcheck.Asked(nil))
	require.False(t, healthcheck.Asked([]string{"health", "now"}))
	require.False(t, healthcheck.Asked([]string{"serve"}))
}
