package istio

import (
	"context"
	"fmt"

	"github.com/smaran-v2/smaran/loadtest/internal/claims"
	"github.com/smaran-v2/smaran/loadtest/internal/probe"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// Claim 16's load: one request after the other on a connection that stays, so that nothing waits for anything but the way.
const (
	sidecarRounds   = 16
	sidecarRequests = 300
	bare            = "bare" // servers without a sidecar
)

// ways to a pod: without any sidecar, the same again, through the client's alone, and through both.
type sidecars struct {
	none, again, one, both rounds
	envoy                  string
}

// sidecar is claim 16.
func sidecar(ctx context.Context, n *namespace) (claims.Finding, error) {
	if err := n.deploy(ctx, probes{name: inside}, probes{name: outside, bare: true}, probes{name: jarvis}, probes{name: bare, bare: true}); err != nil {
		return claims.Finding{}, err
	}
	for _, name := range []string{jarvis, bare} {
		s, err := service(name, name, nil)
		if err != nil {
			return claims.Finding{}, err
		}
		if err := n.apply(ctx, s); err != nil {
			return claims.Finding{}, err
		}
		if err := n.knows(ctx, inside, name, 1); err != nil {
			return claims.Finding{}, err
		}
	}
	from := func(client, service string) way {
		return way{client, probe.Batch{URL: url(service, "/"), Requests: sidecarRequests}}
	}
	measured, err := n.interleaved(ctx, sidecarRounds, from(outside, bare), from(outside, bare), from(inside, bare), from(inside, jarvis))
	if err != nil {
		return claims.Finding{}, err
	}
	version, err := n.envoy(ctx, inside)
	if err != nil {
		return claims.Finding{}, err
	}
	return judgeSidecar(sidecars{measured[0], measured[1], measured[2], measured[3], version}), nil
}

// What claim 16 says, in milliseconds.
const claimedLeast, claimedMost = 1, 2

// within is whether a difference may be what the claim says.
func (d difference) within(least, most float64) bool { return d.high >= least && d.low <= most }

// judgeSidecar goes by the way through both sidecars, which is a request's in a mesh with mTLS.
func judgeSidecar(s sidecars) claims.Finding {
	p50, p99 := between(s.none, s.again, s.both, 0.50), between(s.none, s.again, s.both, 0.99)
	one50, one99 := between(s.none, s.again, s.one, 0.50), between(s.none, s.again, s.one, 0.99)
	f := claims.Finding{
		Measured: fmt.Sprintf("client's and pod's sidecar, with mTLS: p50 %s, p99 %s; the client's alone: p50 %s, p99 %s; %d requests a way in %d rounds in turn: without %s, one %s, both %s",
			p50, p99, one50, one99, s.none.requests(), len(s.none), s.none, s.one, s.both),
		Figures: map[string]float64{
			"added_p50_ms": p50.by, "added_p99_ms": p99.by, "spread_p50_ms": p50.spread, "spread_p99_ms": p99.spread,
			"one_p50_ms": one50.by, "one_p99_ms": one99.by, "requests": float64(s.none.requests()),
		},
		Note: fmt.Sprintf("of Envoy %s, one request at a time", s.envoy),
	}
	switch {
	case !p50.tells():
		f.Verdict = reportv1.Verdict_VERDICT_NOT_MEASURABLE_HERE
		f.Note = "the machine's noise hides it: " + f.Note
	case p50.within(claimedLeast, claimedMost) && p99.within(claimedLeast, claimedMost):
		f.Verdict = reportv1.Verdict_VERDICT_REPRODUCED
	case p50.within(claimedLeast, claimedMost):
		f.Verdict = reportv1.Verdict_VERDICT_DEPENDS
		f.Note = "on the percentile: true of the median, not of p99; " + f.Note
	case p99.tells() && p99.within(claimedLeast, claimedMost):
		f.Verdict = reportv1.Verdict_VERDICT_DEPENDS
		f.Note = "on the percentile: true of p99, not of the median; " + f.Note
	case p50.high < claimedLeast && p99.low > claimedMost:
		f.Verdict = reportv1.Verdict_VERDICT_DEPENDS
		f.Note = "on the percentile: less at the median, more at p99, where two proxies wait for a processor as well; " + f.Note
	default:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_REPRODUCED
	}
	return f
}
