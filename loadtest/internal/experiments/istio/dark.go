package istio

import (
	"context"
	"fmt"
	"net/http"

	"github.com/smaran-v2/smaran/loadtest/internal/claims"
	"github.com/smaran-v2/smaran/loadtest/internal/kube"
	"github.com/smaran-v2/smaran/loadtest/internal/probe"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// Claim 25's load, and the header that the manifests' route matches.
const (
	darkPods        = 2
	darkSessions    = 100
	darkRequests    = 1000
	darkConcurrency = 8
	headerMode      = "mode"
	modeDev         = "dev"
)

// released is version 2's share of the requests: of those that say mode: dev, that say another mode, and that say none.
type released struct {
	dev, other, none shared
	failed           int
}

// dark is claim 25: the routes without the feature, as the control, and with it.
func dark(ctx context.Context, n *namespace) (claims.Finding, error) {
	err := n.deploy(ctx, probes{name: inside}, probes{name: jarvis, version: firstVersion, replicas: darkPods},
		probes{name: jarvisSecond, app: jarvis, version: secondVersion})
	if err != nil {
		return claims.Finding{}, err
	}
	if err := n.tell(ctx, "istio-hash", nil, "Service "+kube.JarvisService, "DestinationRule "+jarvisRule, "VirtualService "+jarvisRouting); err != nil {
		return claims.Finding{}, err
	}
	if err := n.knows(ctx, inside, kube.JarvisService, darkPods+1); err != nil {
		return claims.Finding{}, err
	}
	if err := n.status(ctx, http.StatusBadRequest); err != nil {
		return claims.Finding{}, err
	}
	before, err := n.released(ctx)
	if err != nil {
		return claims.Finding{}, err
	}
	if err := n.routed(ctx, "dark-release", subset(secondVersion), inside); err != nil {
		return claims.Finding{}, err
	}
	after, err := n.released(ctx)
	if err != nil {
		return claims.Finding{}, err
	}
	return judgeDark(before, after), nil
}

func (n *namespace) released(ctx context.Context) (r released, err error) {
	for mode, into := range map[string]*shared{modeDev: &r.dev, "prod": &r.other, "": &r.none} {
		failed := 0
		if *into, failed, err = n.moded(ctx, mode, darkRequests); err != nil {
			return released{}, err
		}
		r.failed += failed
	}
	return r, nil
}

// moded is version 2's share of requests in a mode.
func (n *namespace) moded(ctx context.Context, mode string, requests int) (shared, int, error) {
	b := probe.Batch{
		URL: url(kube.JarvisService, "/inference"), Sessions: sessions("dark", darkSessions), Requests: requests, Concurrency: darkConcurrency,
	}
	if mode != "" {
		b.Header = map[string]string{headerMode: mode}
	}
	answers, err := n.ask(ctx, inside, b)
	if err != nil {
		return shared{}, 0, err
	}
	s, failed := at(secondVersion, answers, n.versions())
	return s, failed, nil
}

func judgeDark(before, after released) claims.Finding {
	f := claims.Finding{
		Measured: fmt.Sprintf("requests at version 2: mode: dev %s, mode: prod %s, without %s; without the route (the hash, by sessions): mode: dev %s, without %s; %d failed",
			after.dev, after.other, after.none, percent(before.dev.share()), percent(before.none.share()), before.failed+after.failed),
		Figures: map[string]float64{
			"dev_second": after.dev.share(), "other_second": after.other.share(), "none_second": after.none.share(),
			"control_dev_second": before.dev.share(), "control_none_second": before.none.share(), "failed": float64(before.failed + after.failed),
		},
	}
	reached := after.dev.part == after.dev.all && after.dev.all > 0
	kept := after.other.part+after.none.part == 0
	switch {
	case before.failed+after.failed > 0:
		f.Verdict, f.Note = reportv1.Verdict_VERDICT_NOT_MEASURABLE_HERE, noteFailed
	case before.dev.part == before.dev.all || before.none.part == 0:
		f.Verdict, f.Note = reportv1.Verdict_VERDICT_NOT_MEASURABLE_HERE, "it is so without the route too"
	case reached && kept:
		f.Verdict = reportv1.Verdict_VERDICT_REPRODUCED
		f.Note = "for who asks jarvis-service or the gateway; smaran passes a client's mode on to nobody"
	case reached:
		f.Verdict, f.Note = reportv1.Verdict_VERDICT_DEPENDS, "on which half: dev gets there, and so do others"
	case kept:
		f.Verdict, f.Note = reportv1.Verdict_VERDICT_DEPENDS, "on which half: others stay away, but dev does not always get there"
	default:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_REPRODUCED
	}
	return f
}
