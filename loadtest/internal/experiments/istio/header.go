package istio

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/smaran-v2/smaran/loadtest/internal/claims"
	"github.com/smaran-v2/smaran/loadtest/internal/kube"
	"github.com/smaran-v2/smaran/loadtest/internal/probe"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// Claim 17's fleet and load.
const (
	headerPods     = 3
	headerSessions = 20
	headerRequests = 200
)

// fallback is what one routing does.
type fallback struct {
	// refused are requests without the header that were answered 400 with session_missing, failed those that got
	// another refusal or no answer, and pods are those that answered the others.
	refused, failed, asked, pods int
	// kept are sessions, with the header, all of whose requests reached one pod.
	kept int
}

// withoutHeader is claim 17: the story's routes, strict and lenient, in front of probes.
func withoutHeader(ctx context.Context, n *namespace) (claims.Finding, error) {
	if err := n.deploy(ctx, probes{name: inside}, probes{name: jarvis, replicas: headerPods}); err != nil {
		return claims.Finding{}, err
	}
	if err := n.tell(ctx, "istio-hash", nil, "Service "+kube.JarvisService, "DestinationRule "+jarvisRule, "VirtualService "+jarvisRouting); err != nil {
		return claims.Finding{}, err
	}
	if err := n.knows(ctx, inside, kube.JarvisService, headerPods); err != nil {
		return claims.Finding{}, err
	}
	if err := n.status(ctx, http.StatusBadRequest); err != nil {
		return claims.Finding{}, err
	}
	refusing, err := n.fallback(ctx)
	if err != nil {
		return claims.Finding{}, err
	}
	if err := n.tell(ctx, "istio-hash", []string{"routing-lenient"}, "VirtualService "+jarvisRouting); err != nil {
		return claims.Finding{}, err
	}
	if err := n.status(ctx, http.StatusOK); err != nil {
		return claims.Finding{}, err
	}
	spreading, err := n.fallback(ctx)
	if err != nil {
		return claims.Finding{}, err
	}
	return judgeHeader(refusing, spreading), nil
}

// status waits until a request without the header is answered so.
func (n *namespace) status(ctx context.Context, want int) error {
	return n.until(ctx, fmt.Sprintf("a request without the header to be answered with %d", want), func(ctx context.Context) (bool, error) {
		answers, err := n.ask(ctx, inside, probe.Batch{URL: url(kube.JarvisService, "/inference"), Requests: 1})
		return len(answers) == 1 && answers[0].Status == want, err
	})
}

func (n *namespace) fallback(ctx context.Context) (fallback, error) {
	bare, err := n.ask(ctx, inside, probe.Batch{URL: url(kube.JarvisService, "/inference"), Requests: headerRequests})
	if err != nil {
		return fallback{}, err
	}
	named, err := n.ask(ctx, inside, probe.Batch{
		URL: url(kube.JarvisService, "/inference"), Sessions: sessions("header", headerSessions), Requests: headerRequests,
	})
	if err != nil {
		return fallback{}, err
	}
	return fallbackIn(bare, named), nil
}

func fallbackIn(bare, named []probe.Answer) fallback {
	f := fallback{asked: len(bare), kept: labelledIn(named).kept}
	pods := map[string]bool{}
	for _, a := range bare {
		switch {
		case a.Status == http.StatusBadRequest && strings.Contains(a.Body, claims.CodeSessionMissing()):
			f.refused++
		case a.OK():
			pods[a.Pod] = true
		default:
			f.failed++
		}
	}
	f.pods = len(pods)
	return f
}

func judgeHeader(strict, lenient fallback) claims.Finding {
	failures := ""
	if lenient.failed > 0 {
		failures = fmt.Sprintf(", %d failed", lenient.failed)
	}
	f := claims.Finding{
		Measured: fmt.Sprintf("Istio's routes: strict, %d of %d requests without the header refused with session_missing, lenient, %d refused%s and the rest over %d of %d pods; with the header %d and %d of %d sessions stay at one pod",
			strict.refused, strict.asked, lenient.refused, failures, lenient.pods, headerPods, strict.kept, lenient.kept, headerSessions),
		Figures: map[string]float64{
			"strict_refused": float64(strict.refused), "lenient_refused": float64(lenient.refused), "lenient_failed": float64(lenient.failed), "asked": float64(strict.asked),
			"lenient_pods": float64(lenient.pods), "strict_kept": float64(strict.kept), "lenient_kept": float64(lenient.kept),
		},
	}
	keeps := strict.kept == headerSessions && lenient.kept == headerSessions
	spreads := lenient.pods > 1 && lenient.refused+lenient.failed == 0
	switch {
	case keeps && strict.refused == strict.asked && spreads:
		f.Verdict = reportv1.Verdict_VERDICT_REPRODUCED
	case keeps && spreads:
		f.Verdict, f.Note = reportv1.Verdict_VERDICT_DEPENDS, "on which half: it spreads, but strict does not refuse all"
	default:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_REPRODUCED
	}
	return f
}
