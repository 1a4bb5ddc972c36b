package istio

import (
	"context"
	"fmt"
	"strings"

	"github.com/smaran-v2/smaran/loadtest/internal/claims"
	"github.com/smaran-v2/smaran/loadtest/internal/kube"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/proxies"
	"github.com/smaran-v2/smaran/loadtest/internal/probe"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/wire"
)

// Claim 36's load, and where services say their own metrics.
const (
	metricSessions = 50
	metricRequests = 200
	adminPort      = 9090
	// istioRequests is the metric that the claim is of.
	istioRequests = "istio_requests_total"
)

// exposition is what some metrics in Prometheus' text format say.
type exposition struct {
	// lines with a value, those that have any of the sessions or their header in their name or labels, and those of istioRequests.
	lines, telling, istio int
	// control are lines that name the Service that was asked, which show that the load is in them.
	control int
}

// metered is what the sidecars say, and the services themselves.
type metered struct {
	sidecars, services exposition
	asked, failed      int
}

// metrics is claim 36.
func metrics(ctx context.Context, n *namespace) (claims.Finding, error) {
	if err := n.fleet(ctx, "istio-hash"); err != nil {
		return claims.Finding{}, err
	}
	if err := n.answers(ctx, inside, kube.Smaran); err != nil {
		return claims.Finding{}, err
	}
	ids := sessions("metered", metricSessions)
	answers, err := n.ask(ctx, inside, probe.Batch{
		URL: url(kube.Smaran, wire.PathInference), Sessions: ids, Requests: metricRequests, Concurrency: tokenConcurrency,
	})
	if err != nil {
		return claims.Finding{}, err
	}
	m := metered{asked: len(answers)}
	for _, a := range answers {
		if !a.OK() {
			m.failed++
		}
	}
	for _, app := range []string{inside, kube.Smaran, jarvis} {
		for _, pod := range n.pods(app) {
			said, err := n.text(ctx, pod.Name, proxies.AdminPort, "/stats/prometheus")
			if err != nil {
				return claims.Finding{}, err
			}
			m.sidecars = m.sidecars.and(expositionOf(said, ids))
			if app == inside {
				continue
			}
			if said, err = n.text(ctx, pod.Name, adminPort, wire.PathMetrics); err != nil {
				return claims.Finding{}, err
			}
			m.services = m.services.and(expositionOf(said, ids))
		}
	}
	return judgeMetrics(m), nil
}

// expositionOf reads metrics. Prometheus' names have _ where the header has -, so that both spellings are looked for.
func expositionOf(text string, ids []string) (e exposition) {
	header := strings.ToLower(session.Header)
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		e.lines++
		lower := strings.ToLower(line)
		tells := strings.Contains(lower, header) || strings.Contains(lower, strings.ReplaceAll(header, "-", "_"))
		for _, id := range ids {
			tells = tells || strings.Contains(line, `"`+id+`"`)
		}
		if tells {
			e.telling++
		}
		if strings.HasPrefix(line, istioRequests) {
			e.istio++
		}
		if strings.Contains(line, kube.JarvisService) || strings.HasPrefix(line, "smaran_requests_total") || strings.HasPrefix(line, "jarvis_inferences_total") {
			e.control++
		}
	}
	return e
}

func (e exposition) and(o exposition) exposition {
	return exposition{e.lines + o.lines, e.telling + o.telling, e.istio + o.istio, e.control + o.control}
}

func judgeMetrics(m metered) claims.Finding {
	f := claims.Finding{
		Measured: fmt.Sprintf("after %d requests of %d sessions, %d of %d metrics of the sidecars name a session or its header, %d name the Service that was asked, %d are %s; of smaran's and jarvis' own %d of %d name a session",
			m.asked-m.failed, metricSessions, m.sidecars.telling, m.sidecars.lines, m.sidecars.control, m.sidecars.istio, istioRequests, m.services.telling, m.services.lines),
		Figures: map[string]float64{
			"sidecars": float64(m.sidecars.lines), "sidecars_telling": float64(m.sidecars.telling), "istio_requests": float64(m.sidecars.istio),
			"services": float64(m.services.lines), "services_telling": float64(m.services.telling), "asked": float64(m.asked), "failed": float64(m.failed),
		},
	}
	switch {
	case m.asked == m.failed || m.sidecars.control == 0 || m.services.control == 0:
		f.Verdict, f.Note = reportv1.Verdict_VERDICT_NOT_MEASURABLE_HERE, "the load is not in the metrics at all"
	case m.sidecars.telling > 0:
		f.Verdict = reportv1.Verdict_VERDICT_REPRODUCED
	case m.sidecars.istio == 0:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_REPRODUCED
		f.Note = "of Envoy's own metrics: this proxy has no " + istioRequests + ", for which it takes Istio's build; whether a Telemetry resource can add " +
			"the header to that one is not tried here"
	default:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_REPRODUCED
		f.Note = "of " + istioRequests + " as Istio installs it, and of Envoy's own; a Telemetry resource that adds the header is not tried here"
	}
	return f
}
