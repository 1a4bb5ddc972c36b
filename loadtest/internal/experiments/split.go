package experiments

import (
	"context"
	"fmt"

	"github.com/smaran-v2/smaran/loadtest/internal/claims"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
	"github.com/smaran-v2/smaran/services/mesh"
)

const (
	// splitRequests makes a 95% interval of a share of 90% 1.3 points wide on either side.
	splitRequests = 2000
	claimedSplit  = 0.90
)

// split is how many of some requests the first version got.
type split struct {
	how         string
	first, all  int
	low, high   float64 // a 95% interval of the share
	withinClaim bool
}

func newSplit(how string, first, all int) split {
	s := split{how: how, first: first, all: all}
	s.low, s.high = claims.Interval(uint64(first), uint64(all))
	s.withinClaim = s.low <= claimedSplit && claimedSplit <= s.high
	return s
}

// splits is claim 22: nine replicas of one version and one of another, and one replica each with weights.
func splits(ctx context.Context, env Env) (_ claims.Finding, err error) {
	replicas, err := countFirst(ctx, env, "replicas 9:1", 10, 9, nil)
	if err != nil {
		return claims.Finding{}, err
	}
	weights, err := countFirst(ctx, env, "weights 90/10", 2, 1, func(pod int) uint32 { return []uint32{90, 10}[pod] })
	if err != nil {
		return claims.Finding{}, err
	}
	return judgeSplits(replicas, weights), nil
}

func countFirst(ctx context.Context, env Env, how string, pods, first int, weight func(int) uint32) (_ split, err error) {
	r, err := newRig(ctx, env, mesh.RoundRobin, pods, pods, weight)
	if err != nil {
		return split{}, err
	}
	defer func() { err = joined(err, r.close()) }()
	version := map[string]bool{}
	for _, e := range r.set.Endpoints[:first] {
		version[e.Pod] = true
	}
	n := 0
	for range splitRequests {
		pod, _, err := r.ask(ctx, r.url, "", nil)
		if err != nil {
			return split{}, err
		}
		if version[pod] {
			n++
		}
	}
	return newSplit(how, n, splitRequests), nil
}

func judgeSplits(replicas, weights split) claims.Finding {
	f := claims.Finding{Figures: map[string]float64{}, Note: "weights of endpoints in our mesh; on a cluster, a VirtualService's"}
	for i, s := range []split{replicas, weights} {
		if i > 0 {
			f.Measured += "; "
		}
		f.Measured += fmt.Sprintf("%s: %s of %d requests (95%%: %s to %s)", s.how, share(float64(s.first)/float64(s.all)), s.all, share(s.low), share(s.high))
		f.Figures[s.how] = float64(s.first) / float64(s.all)
	}
	switch {
	case replicas.withinClaim && weights.withinClaim:
		f.Verdict = reportv1.Verdict_VERDICT_REPRODUCED
	case replicas.withinClaim || weights.withinClaim:
		f.Verdict = reportv1.Verdict_VERDICT_DEPENDS
		f.Note = "on which of the two; " + f.Note
	default:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_REPRODUCED
	}
	return f
}
