package smaran_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	smaranv1 "github.com/smaran-v2/smaran/proto/smaran/v1"
	"github.com/smaran-v2/smaran/proto/smaran/v1/smaranv1connect"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/smaran/internal/podtest"
)

// BenchmarkTraced is what traces cost a request: a smaran that exports nothing and one that exports every span take turns over the same pod,
// which answers at once. The collector takes all, or hangs. x-of-direct is the ratio of the medians, traced to not traced.
func BenchmarkTraced(b *testing.B) {
	for _, c := range []struct {
		label   string
		collect http.HandlerFunc
	}{
		{"collector", func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }},
		{"collector-hangs", func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // a server hears of a client's end once it has read all of it
			<-r.Context().Done()
		}},
	} {
		b.Run(c.label, func(b *testing.B) {
			fleet := podtest.NewFleet(b, 1)
			collector := httptest.NewServer(c.collect)
			b.Cleanup(func() { collector.CloseClientConnections(); collector.Close() })
			plain := start(b, fleet, "SMARAN_BACKEND=app-hash")
			b.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
			traced := start(b, fleet, "SMARAN_BACKEND=app-hash", "OTEL_EXPORTER_OTLP_ENDPOINT="+collector.URL)

			transport := &http.Transport{}
			b.Cleanup(transport.CloseIdleConnections)
			who := &caller{id: session.ID("session-1")}
			ask := func(api string) func() error {
				client := smaranv1connect.NewSmaranServiceClient(&http.Client{Transport: transport}, api)
				return func() error {
					_, err := client.Infer(b.Context(), as(who, &smaranv1.InferRequest{}))
					return err
				}
			}
			without, with := ask(plain.api), ask(traced.api)
			require.NoError(b, without())
			require.NoError(b, with())
			var direct, exported []time.Duration
			for b.Loop() {
				direct = append(direct, timed(b, without))
				exported = append(exported, timed(b, with))
			}
			report(b, direct, exported)
		})
	}
}
