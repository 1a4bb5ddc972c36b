package live_test

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/smaran-v2/smaran/loadtest/internal/live"
	"github.com/smaran-v2/smaran/loadtest/internal/tally"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMetricsShowWhatARecorderIsTold(t *testing.T) {
	registry := prometheus.NewRegistry()
	r := tally.NewRecorder(time.Minute, time.Hour, live.New(registry)) // the warm-up is shown too
	r.Setup(tally.Setup{Call: 1})
	r.Setup(tally.Setup{Call: 2})
	r.Setup(tally.Setup{Call: 3})
	r.Loss(2, time.Second)
	r.HungUp(1, time.Second)
	r.Moved(3, time.Second, "jarvis-2")
	r.Inference(tally.Inference{Intended: time.Second, Done: 1100 * time.Millisecond, State: tally.Warm})
	r.Inference(tally.Inference{State: tally.Failed})
	r.Occurrence(tally.Occurrence{Class: tally.Misroute})
	r.Gap(tally.Gap{Duration: 70 * time.Millisecond})

	require.InDelta(t, 1, value(t, registry, "loadtest_calls", ""), 0)
	require.InDelta(t, 1, value(t, registry, "loadtest_requests_total", "warm"), 0)
	require.InDelta(t, 1, value(t, registry, "loadtest_requests_total", "failed"), 0)
	require.InDelta(t, 0, value(t, registry, "loadtest_requests_total", "cold"), 0, "what did not happen is 0, and not left out")
	require.InDelta(t, 1, value(t, registry, "loadtest_disconnects_total", string(tally.Misroute)), 0)
	require.InDelta(t, 0, value(t, registry, "loadtest_disconnects_total", string(tally.DroppedNoMedia)), 0)
	require.InDelta(t, 1, value(t, registry, "loadtest_request_duration_seconds", ""), 0, "a failed one has no latency")
	require.InDelta(t, 1, value(t, registry, "loadtest_media_gap_seconds", ""), 0)

	problems, err := testutil.GatherAndLint(registry)
	require.NoError(t, err)
	require.Empty(t, problems)
}

// value of the metric's series whose only label has the value; a histogram's is how much it holds.
func value(t *testing.T, registry *prometheus.Registry, name, label string) float64 {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (label == "" || m.GetLabel()[0].GetValue() == label) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	require.Fail(t, "no such series", "%s %s", name, label)
	return 0
}

func TestServeShowsAndStops(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := free.Addr().String()
	registry, log := prometheus.NewRegistry(), slog.New(slog.DiscardHandler)
	live.New(registry)
	_, err = live.Serve(t.Context(), address, registry, log)
	require.ErrorContains(t, err, address, "somebody else listens there")
	require.NoError(t, free.Close())

	stop, err := live.Serve(t.Context(), address, registry, log)
	require.NoError(t, err)
	res, err := http.Get("http://" + address + "/metrics")
	require.NoError(t, err)
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Contains(t, string(body), `loadtest_requests_total{state="cold"} 0`)
	stop()
	_, err = http.Get("http://" + address + "/metrics")
	require.Error(t, err)
	http.DefaultClient.CloseIdleConnections()
}
