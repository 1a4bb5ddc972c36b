package builds_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/builds"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
	"github.com/smaran-v2/smaran/services/version"
	"github.com/smaran-v2/smaran/services/wire"
)

func TestAServiceSaysItsRevision(t *testing.T) {
	registry := prometheus.NewRegistry()
	mux := http.NewServeMux()
	mux.Handle(wire.PathMetrics, promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	server := httptest.NewServer(mux)
	defer server.Close()

	got, err := builds.Ask(t.Context(), server.Client(), server.URL)
	require.ErrorIs(t, err, builds.ErrMetrics, "an image from before the metric")
	require.Equal(t, version.Unknown, got)

	registry.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{
		Name: wire.MetricBuildInfo, Help: "A build.", ConstLabels: prometheus.Labels{wire.LabelService: "jarvis", wire.LabelRevision: "v1-2-gabc"},
	}))
	got, err = builds.Ask(t.Context(), server.Client(), server.URL)
	require.NoError(t, err)
	require.Equal(t, "v1-2-gabc", got)

	server.Close()
	got, err = builds.Ask(t.Context(), server.Client(), server.URL)
	require.Error(t, err)
	require.Equal(t, version.Unknown, got)
}

func TestKnownRevisionsHaveToBeOne(t *testing.T) {
	for name, c := range map[string]struct {
		own, smaran, jarvis, generator string
		valid                          bool
	}{
		"all the same":                {"v1", "go v1 (image@1)", "go v1", "v1", true},
		"no generator of its own":     {"v1", "go v1", "go v1", "", true},
		"unknown ones":                {"v1", "go unknown", "go unknown,v1", "v1", true},
		"this one unknown":            {"unknown", "go v1", "go v1", "v1", true},
		"none said":                   {"v1", "", "", "", true},
		"an old smaran":               {"v1", "go v0 (image@1)", "go v1", "v1", false},
		"old pods":                    {"v1", "go v1", "go v0", "v1", false},
		"one old pod":                 {"v1", "go v1", "go v0,v1", "v1", false},
		"an old generator":            {"v1", "go v1", "go v1", "v0, not v1 as who conducts it", false},
		"a dirty build is another":    {"v1", "go v1-dirty", "go v1", "v1", false},
		"one commit by several names": {"0123456789abcdef0123456789abcdef01234567", "go 0123456", "go v1-2-g01234567", "0123456", true},
		"its tree was changed":        {"0123456789abcdef0123456789abcdef01234567", "go 0123456-dirty", "go 0123456", "0123456", false},
		"services that differ":        {"unknown", "go v1", "go v0", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			r := &reportv1.Result{Valid: true, Settings: map[string]string{"smaran": c.smaran, "jarvis": c.jarvis, "generator": c.generator}}
			builds.Check(r, c.own, "scripts/images")
			require.Equal(t, c.valid, r.GetValid(), r.GetInvalidReasons())
			if !c.valid {
				require.Contains(t, fmt.Sprint(r.GetInvalidReasons()), "scripts/images")
			}
		})
	}
}

func TestJoin(t *testing.T) {
	require.Equal(t, "v0,v1", builds.Join([]string{"v1", "v0", "v1"}))
	require.Empty(t, builds.Join(nil))
}
