package istio

import (
	"context"
	"fmt"

	"github.com/smaran-v2/smaran/loadtest/internal/claims"
	"github.com/smaran-v2/smaran/loadtest/internal/kube"
	"github.com/smaran-v2/smaran/loadtest/internal/probe"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// Claim 22's load: a 95% interval of a share of 90% is 1.3 points wide on either side.
const (
	splitRequests    = 2000
	splitSessions    = 200
	splitConcurrency = 8
	claimedSplit     = 0.90
)

// splits are the first version's share of the requests: of nine replicas to one, of one to one, and of one to one with weights.
type splits struct {
	replicas, control, weights shared
	failed                     int
}

// split is claim 22. Weights are put over as many replicas of both, so that replicas can't be what splits.
func split(ctx context.Context, n *namespace) (claims.Finding, error) {
	const claimedReplicas = 9
	first := probes{name: jarvis, version: firstVersion, replicas: claimedReplicas}
	if err := n.deploy(ctx, probes{name: inside}, first, probes{name: jarvisSecond, app: jarvis, version: secondVersion}); err != nil {
		return claims.Finding{}, err
	}
	if err := n.tell(ctx, "istio-hash", nil, "Service "+kube.JarvisService); err != nil {
		return claims.Finding{}, err
	}
	var s splits
	var err error
	if s.replicas, err = n.first(ctx, claimedReplicas+1, &s.failed); err != nil {
		return claims.Finding{}, err
	}
	first.replicas = 1
	if err := n.deploy(ctx, first); err != nil {
		return claims.Finding{}, err
	}
	if s.control, err = n.first(ctx, 2, &s.failed); err != nil {
		return claims.Finding{}, err
	}
	if err := n.routed(ctx, "canary", subset(secondVersion), inside); err != nil {
		return claims.Finding{}, err
	}
	if s.weights, err = n.first(ctx, 2, &s.failed); err != nil {
		return claims.Finding{}, err
	}
	return judgeSplit(s), nil
}

// first is the first version's share of requests to jarvis-service, once its pods are known. It adds those that failed.
func (n *namespace) first(ctx context.Context, pods int, failed *int) (shared, error) {
	if err := n.knows(ctx, inside, kube.JarvisService, pods); err != nil {
		return shared{}, err
	}
	answers, err := n.ask(ctx, inside, probe.Batch{
		URL: url(kube.JarvisService, "/inference"), Sessions: sessions("split", splitSessions), Requests: splitRequests, Concurrency: splitConcurrency,
	})
	if err != nil {
		return shared{}, err
	}
	s, bad := at(firstVersion, answers, n.versions())
	*failed += bad
	return s, nil
}

func judgeSplit(s splits) claims.Finding {
	f := claims.Finding{
		Measured: fmt.Sprintf("Istio: requests at version 1: replicas 9:1, %s; weights 90/10 over replicas 1:1, %s; without weights, %s; %d failed",
			s.replicas, s.weights, s.control, s.failed),
		Figures: map[string]float64{
			"replicas_share": s.replicas.share(), "weights_share": s.weights.share(), "control_share": s.control.share(),
			"requests": float64(s.replicas.all + s.weights.all + s.control.all), "failed": float64(s.failed),
		},
	}
	replicas, weights := s.replicas.may(claimedSplit), s.weights.may(claimedSplit)
	switch {
	case s.control.may(claimedSplit):
		f.Verdict, f.Note = reportv1.Verdict_VERDICT_NOT_MEASURABLE_HERE, "it is split so without weights too"
	case replicas && weights:
		f.Verdict, f.Note = reportv1.Verdict_VERDICT_REPRODUCED, "of requests, not of sessions (claim 23)"
	case replicas:
		f.Verdict, f.Note = reportv1.Verdict_VERDICT_DEPENDS, "on which of the two: replicas do"
	case weights:
		f.Verdict, f.Note = reportv1.Verdict_VERDICT_DEPENDS, "on which of the two: weights do"
	default:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_REPRODUCED
	}
	return f
}
