package istio

import (
	"context"
	"fmt"
	"strings"

	"github.com/smaran-v2/smaran/loadtest/internal/claims"
	"github.com/smaran-v2/smaran/loadtest/internal/kube"
	"github.com/smaran-v2/smaran/loadtest/internal/probe"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
	"github.com/smaran-v2/smaran/services/wire"
)

// Claim 23's load, through smaran. With weights a session sends ten requests; by bucket there are more sessions, as their share counts.
const (
	canarySessions    = 200
	canaryRequests    = 10
	bucketSessions    = 1000
	bucketRequests    = 3
	canaryConcurrency = 24
	claimedCanary     = 0.10
)

// canaried is what became of sessions under some routes.
type canaried struct {
	// changed are sessions that more than one version answered, spread those that more than one pod did.
	changed, spread shared
	// second is version 2's share of the requests, started that of the sessions by their first request.
	second, started shared
	// again are cold answers after a session's first one.
	again, failed int
}

// canaries are the same load under the hash alone, under hash and weights, and by bucket. without and with are requests that did not come
// through smaran: without a bucket, and with one that the client says.
type canaries struct {
	hash, weights, bucket canaried
	without, with         shared
}

// canary is claim 23.
func canary(ctx context.Context, n *namespace) (claims.Finding, error) {
	if err := n.fleet(ctx, "istio-hash", "versions"); err != nil {
		return claims.Finding{}, err
	}
	if err := n.answers(ctx, inside, kube.Smaran); err != nil {
		return claims.Finding{}, err
	}
	var c canaries
	var err error
	if c.hash, err = n.canaried(ctx, "hash", canarySessions, canaryRequests); err != nil {
		return claims.Finding{}, err
	}
	if err := n.routed(ctx, "canary", subset(secondVersion), inside, kube.Smaran); err != nil {
		return claims.Finding{}, err
	}
	if c.weights, err = n.canaried(ctx, "weights", canarySessions, canaryRequests); err != nil {
		return claims.Finding{}, err
	}
	if err := n.routed(ctx, "canary-sticky", strings.ToLower(wire.HeaderSessionBucket), inside, kube.Smaran); err != nil {
		return claims.Finding{}, err
	}
	if c.bucket, err = n.canaried(ctx, "bucket", bucketSessions, bucketRequests); err != nil {
		return claims.Finding{}, err
	}
	if c.without, err = n.direct(ctx, "", canarySessions); err != nil {
		return claims.Finding{}, err
	}
	if c.with, err = n.direct(ctx, "0", canarySessions); err != nil {
		return claims.Finding{}, err
	}
	return judgeCanary(c), nil
}

func (n *namespace) canaried(ctx context.Context, prefix string, of, each int) (canaried, error) {
	answers, err := n.ask(ctx, inside, probe.Batch{
		URL: url(kube.Smaran, wire.PathInference), Sessions: sessions(prefix, of), Requests: of * each, Concurrency: canaryConcurrency,
		Keep: []string{wire.HeaderCacheState},
	})
	if err != nil {
		return canaried{}, err
	}
	return canariedIn(answers, n.versions()), nil
}

// direct is version 2's share of requests that don't come through smaran, with a bucket that the client says, or none.
func (n *namespace) direct(ctx context.Context, bucket string, requests int) (shared, error) {
	b := probe.Batch{
		URL: url(kube.JarvisService, wire.PathInference), Sessions: sessions("direct", requests), Requests: requests, Concurrency: canaryConcurrency,
	}
	if bucket != "" {
		b.Header = map[string]string{wire.HeaderSessionBucket: bucket}
	}
	answers, err := n.ask(ctx, inside, b)
	if err != nil {
		return shared{}, err
	}
	s, failed := at(secondVersion, answers, n.versions())
	if failed > 0 {
		return shared{}, fmt.Errorf("%w: %s: %s", ErrProbe, kube.JarvisService, reasons(answers))
	}
	return s, nil
}

// canariedIn follows each session. What failed is at no version.
func canariedIn(answers []probe.Answer, versions map[string]string) (c canaried) {
	c.second, c.failed = at(secondVersion, answers, versions)
	pods, seen := map[string]map[string]bool{}, map[string]map[string]bool{}
	for _, a := range answers {
		if !a.OK() {
			continue
		}
		version := versions[a.Pod]
		if pods[a.Session] == nil {
			pods[a.Session], seen[a.Session] = map[string]bool{}, map[string]bool{}
			c.started.all++
			if version == secondVersion {
				c.started.part++
			}
		} else if a.Header[wire.HeaderCacheState] == "cold" {
			c.again++
		}
		pods[a.Session][a.Pod], seen[a.Session][version] = true, true
	}
	for id := range pods {
		c.changed.all++
		c.spread.all++
		if len(seen[id]) > 1 {
			c.changed.part++
		}
		if len(pods[id]) > 1 {
			c.spread.part++
		}
	}
	return c
}

func judgeCanary(c canaries) claims.Finding {
	f := claims.Finding{
		Measured: fmt.Sprintf("sessions that changed version: hash alone %s; hash and weights 90/10 over %d requests each %s, with %s of their requests at version 2 and %d cold starts after the first; by bucket %s, with %s of the sessions at version 2 and %d cold starts after the first; not through smaran, at version 2: %s without a bucket, %s with one that the client says; %d requests failed",
			c.hash.changed, canaryRequests, c.weights.changed, c.weights.second, c.weights.again,
			c.bucket.changed, c.bucket.started, c.bucket.again, c.without, c.with, c.failed()),
		Figures: map[string]float64{
			"hash_changed": c.hash.changed.share(), "weights_changed": c.weights.changed.share(), "weights_second": c.weights.second.share(),
			"weights_cold_again": float64(c.weights.again), "bucket_changed": c.bucket.changed.share(), "bucket_second": c.bucket.started.share(),
			"bucket_cold_again": float64(c.bucket.again), "direct_second": c.without.share(), "said_second": c.with.share(), "failed": float64(c.failed()),
		},
	}
	switch {
	case c.failed() > 0:
		f.Verdict, f.Note = reportv1.Verdict_VERDICT_NOT_MEASURABLE_HERE, noteFailed
	case c.hash.changed.part > 0 || c.hash.changed.all == 0:
		f.Verdict, f.Note = reportv1.Verdict_VERDICT_NOT_MEASURABLE_HERE, "sessions change under the hash alone, so something else moves them: try again"
	case !c.weights.second.may(claimedCanary):
		f.Verdict, f.Note = reportv1.Verdict_VERDICT_NOT_MEASURABLE_HERE, "the weights do not split as they say"
	case c.weights.changed.part == 0:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_REPRODUCED
	case c.bucket.changed.part == 0 && c.bucket.started.may(claimedCanary) && c.without.part == 0:
		f.Verdict = reportv1.Verdict_VERDICT_REPRODUCED
		f.Note = "a route by a header with the session's bucket keeps them, but only smaran says it"
	default:
		f.Verdict = reportv1.Verdict_VERDICT_REPRODUCED
		f.Note = "nor does a route by the session's bucket keep all of them on a version here"
	}
	return f
}

func (c canaries) failed() int { return c.hash.failed + c.weights.failed + c.bucket.failed }
