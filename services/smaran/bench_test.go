package smaran_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/require"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/proto/jarvis/v1/jarvisv1connect"
	smaranv1 "github.com/smaran-v2/smaran/proto/smaran/v1"
	"github.com/smaran-v2/smaran/proto/smaran/v1/smaranv1connect"
	"github.com/smaran-v2/smaran/services/mesh"
	"github.com/smaran-v2/smaran/services/registry"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/smaran/internal/podtest"
	"github.com/smaran-v2/smaran/services/testreal"
	"github.com/smaran-v2/smaran/services/wire"
)

// BenchmarkAdded is what a whole smaran adds to an inference, by backend: requests straight to a pod and requests through smaran (and
// the mesh, where the backend uses it) take turns, one at a time, so that what else the machine does slows both. The pods answer
// at once and everything is in one process on loopback; Redis is a real one. added-p50-ms and added-p99-ms are the differences
// of the percentiles, x-of-direct the ratio of the medians.
func BenchmarkAdded(b *testing.B) {
	for _, c := range []struct {
		label, backend string
		mesh           mesh.Policy
		environ        []string
	}{
		{label: "roundrobin", backend: "roundrobin"},
		{label: "redis-plain", backend: "redis-plain"},
		{label: "redis/uncached", backend: "redis", environ: []string{"SMARAN_REDIS_CACHE=0s"}},
		{label: "redis/cached", backend: "redis"},
		{label: "app-hash", backend: "app-hash"},
		{label: "istio-hash/ring", backend: "istio-hash", mesh: mesh.Ring},
		{label: "istio-hash/maglev", backend: "istio-hash", mesh: mesh.Maglev},
		{label: "stateful-header", backend: "stateful-header", mesh: mesh.StatefulByHeader},
		{label: "stateful-cookie", backend: "stateful-cookie", mesh: mesh.StatefulByCookie},
	} {
		b.Run(c.label, func(b *testing.B) {
			fleet := podtest.NewFleet(b, 3)
			addr := testreal.StartRedis(b)
			leases := registry.NewClient(addr, podtest.Wait)
			b.Cleanup(func() { require.NoError(b, leases.Close()) })
			fleet.HoldLeases(leases)
			environ := append([]string{"SMARAN_BACKEND=" + c.backend, "SMARAN_REDIS_ADDR=" + addr, "SMARAN_REDIS_TIMEOUT=1s"}, c.environ...)
			if c.mesh != "" {
				environ = append(environ, "SMARAN_MESH_URL="+fleet.Mesh(b, c.mesh), "SMARAN_MESH_POLICY="+string(c.mesh))
			}
			p := start(b, fleet, environ...)

			transport := &http.Transport{}
			b.Cleanup(transport.CloseIdleConnections)
			client := &http.Client{Transport: transport}
			straight := jarvisv1connect.NewJarvisServiceClient(client, "http://"+fleet.Pod("jarvis-0").Address)
			through := smaranv1connect.NewSmaranServiceClient(client, p.api)
			callers := make([]*caller, 50)
			for i := range callers {
				callers[i] = &caller{id: session.ID(fmt.Sprintf("session-%d", i))}
			}
			var direct, smaran []time.Duration
			i := 0
			for b.Loop() {
				who := callers[i%len(callers)]
				i++
				direct = append(direct, timed(b, func() error {
					_, err := straight.Infer(b.Context(), as(who, &jarvisv1.InferRequest{}))
					return err
				}))
				smaran = append(smaran, timed(b, func() error {
					res, err := through.Infer(b.Context(), as(who, &smaranv1.InferRequest{}))
					if err == nil {
						who.keep(res.Header())
					}
					return err
				}))
			}
			report(b, direct, smaran)
		})
	}
}

// caller is a client that keeps its token.
type caller struct {
	id            session.ID
	token, cookie string
}

func (c *caller) keep(h http.Header) {
	if v := h.Get(wire.HeaderStateful); v != "" {
		c.token = v
	}
	if v := h.Get("Set-Cookie"); v != "" {
		c.cookie = v
	}
}

func as[M any](c *caller, m *M) *connect.Request[M] {
	req := connect.NewRequest(m)
	session.Set(req.Header(), c.id)
	if c.token != "" {
		req.Header().Set(wire.HeaderStateful, c.token)
	}
	if c.cookie != "" {
		req.Header().Set("Cookie", c.cookie)
	}
	return req
}

func timed(b *testing.B, f func() error) time.Duration {
	start := time.Now()
	if err := f(); err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}

func report(b *testing.B, direct, smaran []time.Duration) {
	percentile := func(all []time.Duration, p int) float64 {
		slices.Sort(all)
		return float64(all[min(len(all)*p/100, len(all)-1)]) / float64(time.Millisecond)
	}
	b.ReportMetric(percentile(smaran, 50)-percentile(direct, 50), "added-p50-ms")
	b.ReportMetric(percentile(smaran, 99)-percentile(direct, 99), "added-p99-ms")
	b.ReportMetric(percentile(direct, 50), "direct-p50-ms")
	b.ReportMetric(percentile(direct, 99), "direct-p99-ms")
	b.ReportMetric(percentile(smaran, 50)/percentile(direct, 50), "x-of-direct")
	b.ReportMetric(0, "ns/op") // of both together: it says nothing
}
