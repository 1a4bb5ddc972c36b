package istio

import (
	"context"
	"fmt"

	"github.com/smaran-v2/smaran/loadtest/internal/claims"
	"github.com/smaran-v2/smaran/loadtest/internal/kube"
	"github.com/smaran-v2/smaran/loadtest/internal/probe"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
	"github.com/smaran-v2/smaran/services/wire"
)

// Claim 24's load. A session that is spread at random over three pods keeps one over 25 requests with a chance of one in 280 billion.
const (
	chainSessions    = 40
	chainRequests    = 25
	chainConcurrency = 16
)

// chain is claim 24: smaran, a hop, and jarvis, where the hop forwards the session header, and where it loses it.
func chain(ctx context.Context, n *namespace) (claims.Finding, error) {
	forwarding, err := n.chained(ctx, "hop")
	if err != nil {
		return claims.Finding{}, err
	}
	losing, err := n.chained(ctx, "hop-drops-session")
	if err != nil {
		return claims.Finding{}, err
	}
	return judgeChain(forwarding, losing), nil
}

func (n *namespace) chained(ctx context.Context, feature string) (labelled, error) {
	if err := n.fleet(ctx, "istio-hash", feature); err != nil {
		return labelled{}, err
	}
	if err := n.answers(ctx, inside, kube.Smaran); err != nil {
		return labelled{}, err
	}
	answers, err := n.ask(ctx, inside, probe.Batch{
		URL: url(kube.Smaran, wire.PathInference), Sessions: sessions("chain", chainSessions), Requests: chainSessions * chainRequests,
		Concurrency: chainConcurrency,
	})
	if err != nil {
		return labelled{}, err
	}
	return labelledIn(answers), nil
}

func judgeChain(forwarding, losing labelled) claims.Finding {
	with, without := shared{forwarding.kept, chainSessions}, shared{losing.kept, chainSessions}
	f := claims.Finding{
		Measured: fmt.Sprintf("sessions that kept their pod over %d requests, through smaran, a hop and jarvis: %s where the hop forwards the header, %s where it does not; %d and %d of %d requests failed%s",
			chainRequests, with, without, forwarding.failed, losing.failed, chainSessions*chainRequests, inBrackets(forwarding.why+losing.why)),
		Figures: map[string]float64{
			"kept_forwarding": with.share(), "kept_losing": without.share(),
			"failed_forwarding": float64(forwarding.failed), "failed_losing": float64(losing.failed),
		},
	}
	switch {
	case forwarding.failed+losing.failed > 0:
		f.Verdict, f.Note = reportv1.Verdict_VERDICT_NOT_MEASURABLE_HERE, noteFailed
	case forwarding.kept == chainSessions && losing.kept == 0:
		f.Verdict = reportv1.Verdict_VERDICT_REPRODUCED
	case forwarding.kept > losing.kept:
		f.Verdict, f.Note = reportv1.Verdict_VERDICT_DEPENDS, "on more than the header"
	default:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_REPRODUCED
	}
	return f
}
