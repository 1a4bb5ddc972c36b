package backend_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/mesh"
	"github.com/smaran-v2/smaran/services/registry"
	"github.com/smaran-v2/smaran/services/smaran/backend"
	"github.com/smaran-v2/smaran/services/testreal"
)

// BenchmarkRoute is what each backend's decision costs over 10 pods and 1,000 sessions that it has seen, in one run. The backends of
// Redis ask a real one on loopback, and only that time depends on the machine's network. stateful-* open a sealed token.
func BenchmarkRoute(b *testing.B) {
	uncached := func(d *backend.Deps) { d.RedisCache = 0 }
	for _, c := range []struct {
		label string
		kind  kind
		redis bool
		edit  func(*backend.Deps)
		lost  string
	}{
		{label: "roundrobin", kind: kind{name: backend.RoundRobin}},
		{label: "redis-plain", kind: kind{name: backend.RedisPlain}, redis: true},
		{label: "redis/uncached", kind: kind{name: backend.Redis}, redis: true, edit: uncached},
		{label: "redis/cached", kind: kind{name: backend.Redis}, redis: true, edit: func(d *backend.Deps) { d.RedisCache = time.Hour }},
		{label: "app-hash", kind: kind{name: backend.AppHash}},
		{label: "istio-hash", kind: kind{name: backend.IstioHash, mesh: mesh.Ring}},
		{label: "istio-hash/redial", kind: kind{name: backend.IstioHash, mesh: mesh.Ring}, lost: "jarvis-3"},
		{label: "stateful-header", kind: kind{name: backend.StatefulHeader, mesh: mesh.StatefulByHeader}},
		{label: "stateful-cookie", kind: kind{name: backend.StatefulCookie, mesh: mesh.StatefulByCookie}},
	} {
		b.Run(c.label, func(b *testing.B) {
			var edits []func(*backend.Deps)
			addr := ""
			if c.redis {
				addr = testreal.StartRedis(b)
				client := registry.NewClient(addr, slow)
				b.Cleanup(func() { require.NoError(b, client.Close()) })
				edits = append(edits, func(d *backend.Deps) { d.Redis = client })
			}
			if c.edit != nil {
				edits = append(edits, c.edit)
			}
			r := newRig(b, c.kind, 10, edits...)
			if c.redis {
				leases := registry.NewClient(addr, slow)
				b.Cleanup(func() { require.NoError(b, leases.Close()) })
				r.HoldLeases(leases)
			}
			routed, err := backend.New(c.kind.name, r.deps)
			require.NoError(b, err)

			requests := make([]backend.Request, 1000)
			for i, id := range sessions(len(requests)) {
				h := http.Header{}
				h.Set("X-Jarvis-Session", r.deps.Sealer.Seal(id, "MTAuMC4wLjE6ODA4MA=="))
				h.Set("Cookie", `jarvis="`+r.deps.Sealer.Seal(id, "Cg0xMC4wLjAuMTo4MDgw")+`"`)
				requests[i] = backend.Request{Session: id, Header: h, LostPod: c.lost}
				_, err := routed.Route(b.Context(), requests[i])
				require.NoError(b, err)
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if _, err := routed.Route(b.Context(), requests[i%len(requests)]); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
	}
}
