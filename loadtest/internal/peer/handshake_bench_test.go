package peer_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/peer"
	"github.com/smaran-v2/smaran/services/jarvis/call"
	"github.com/smaran-v2/smaran/services/session"
)

// BenchmarkHandshake is what call.DefaultICELite was chosen by: the time from Dial to the first RTP packet, one call after
// another, with both ends and signalling in this process. Compare lite with full in one run.
func BenchmarkHandshake(b *testing.B) {
	for _, lite := range []bool{true, false} {
		b.Run(fmt.Sprintf("lite=%t", lite), func(b *testing.B) {
			p := startPod(b, ungated, func(c *call.Config) { c.ICELite = lite })
			api := newAPI(b)
			var took []time.Duration
			for b.Loop() {
				c, err := peer.Dial(within(b), api, p.to(session.ID(fmt.Sprintf("s%d", len(took)))),
					peer.Options{Meter: peer.NewMeter(peer.MeterConfig{})})
				require.NoError(b, err)
				took = append(took, c.SetupTime())
				b.StopTimer()
				c.Close()
				b.StartTimer()
			}
			slices.Sort(took)
			at := func(q float64) float64 { return took[int(q*float64(len(took)-1))].Seconds() * 1e3 }
			b.ReportMetric(at(0.5), "p50-ms")
			b.ReportMetric(at(0.9), "p90-ms")
			b.ReportMetric(at(0.99), "p99-ms")
			b.ReportMetric(at(1), "max-ms")
		})
	}
}
