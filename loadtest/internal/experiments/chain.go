package experiments

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"

	"github.com/smaran-v2/smaran/loadtest/internal/claims"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
	"github.com/smaran-v2/smaran/services/mesh"
	"github.com/smaran-v2/smaran/services/session"
)

const (
	chainPods     = 5
	chainSessions = 40
	chainRequests = 15
)

// joined adds the error of a clean-up.
func joined(err, closing error) error {
	if closing == nil {
		return err
	}
	return errors.Join(err, closing)
}

// headerChain is claim 24: client, hop, hop, mesh, pod, where the second hop forwards the session header or loses it.
func headerChain(ctx context.Context, env Env) (_ claims.Finding, err error) {
	r, err := newRig(ctx, env, mesh.Ring, chainPods, chainPods, nil)
	if err != nil {
		return claims.Finding{}, err
	}
	defer func() { err = joined(err, r.close()) }()
	ids := sessions(env.rand(24), chainSessions)
	var kept [2]float64
	for i, forwards := range []bool{true, false} {
		if kept[i], err = throughHops(ctx, r, ids, forwards); err != nil {
			return claims.Finding{}, err
		}
	}
	return judgeChain(kept[0], kept[1]), nil
}

// throughHops is the share of sessions all of whose requests reached one pod.
func throughHops(ctx context.Context, r *rig, ids []string, forwards bool) (_ float64, err error) {
	inner, err := serve(ctx, hop(r.address, forwards))
	if err != nil {
		return 0, err
	}
	defer func() { err = joined(err, inner.close()) }()
	outer, err := serve(ctx, hop(inner.address, true))
	if err != nil {
		return 0, err
	}
	defer func() { err = joined(err, outer.close()) }()
	defer r.client.CloseIdleConnections()
	kept := 0
	for _, id := range ids {
		seen := map[string]bool{}
		for range chainRequests {
			pod, _, err := r.ask(ctx, outer.url(), id, nil)
			if err != nil {
				return 0, err
			}
			seen[pod] = true
		}
		if len(seen) == 1 {
			kept++
		}
	}
	return float64(kept) / float64(len(ids)), nil
}

// hop is a service in the middle: it passes on what it gets, with or without the session header.
func hop(address string, forwards bool) http.Handler {
	target := &url.URL{Scheme: "http", Host: address}
	return &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(target)
		if !forwards {
			p.Out.Header.Del(session.Header)
		}
	}}
}

// Shares of sessions that keep their pod from which affinity is there, and below which it is gone: a session that is spread
// at random over five pods keeps one over fifteen requests with a chance of 1 in six billion.
const (
	affinityKept = 0.99
	affinityGone = 0.05
)

func judgeChain(forwarding, losing float64) claims.Finding {
	f := claims.Finding{
		Measured: fmt.Sprintf("sessions that kept their pod over %d requests: %s where every hop forwards the header, %s where one does not",
			chainRequests, share(forwarding), share(losing)),
		Figures: map[string]float64{"kept_forwarding": forwarding, "kept_losing": losing},
	}
	switch {
	case forwarding >= affinityKept && losing <= affinityGone:
		f.Verdict = reportv1.Verdict_VERDICT_REPRODUCED
	case forwarding > losing:
		f.Verdict = reportv1.Verdict_VERDICT_DEPENDS
		f.Note = "on more than the header"
	default:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_REPRODUCED
	}
	return f
}
