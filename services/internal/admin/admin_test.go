package admin_test

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/internal/admin"
	"github.com/smaran-v2/smaran/services/wire"
)

func TestAdmin(t *testing.T) {
	registry := prometheus.NewRegistry()
	counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "seen_total", Help: "For the test."})
	registry.MustRegister(counter)
	counter.Inc()
	var notReady error = errors.New("weights are loading")
	h := admin.New(admin.Options{Registry: registry, Ready: func() error { return notReady }, Log: slog.New(slog.DiscardHandler)})

	get := func(path string) (int, string) {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
		return rec.Code, rec.Body.String()
	}

	code, body := get("/readyz")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Contains(t, body, "weights are loading")
	code, _ = get("/healthz")
	require.Equal(t, http.StatusOK, code, "alive though not ready")

	notReady = nil
	code, _ = get("/readyz")
	require.Equal(t, http.StatusOK, code)

	_, body = get("/metrics")
	require.Contains(t, body, "seen_total 1")
	code, _ = get("/debug/pprof/")
	require.Equal(t, http.StatusOK, code)
}

func TestADrainingServiceIsReadyButDegraded(t *testing.T) {
	draining := false
	h := admin.New(admin.Options{Registry: prometheus.NewRegistry(), Ready: func() error { return nil },
		Draining: func() bool { return draining }, Log: slog.New(slog.DiscardHandler)})
	for _, draining = range []bool{false, true} {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, wire.PathReady, nil))
		require.Equal(t, http.StatusOK, rec.Code)
		require.Equal(t, draining, rec.Header().Get(wire.HeaderEnvoyDegraded) != "")
	}
}
