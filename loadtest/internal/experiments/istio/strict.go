package istio

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/smaran-v2/smaran/loadtest/internal/claims"
	"github.com/smaran-v2/smaran/loadtest/internal/kube"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/overlay"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/proxies"
	"github.com/smaran-v2/smaran/loadtest/internal/probe"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// Claim 18: a client whose certificates last a minute, watched for as long as two of its renewals take, beside one whose certificates
// last a day.
const (
	strictRequests = 50
	shortLived     = "short-lived"
	lifetime       = "1m0s"
	watchTime      = 75 * time.Second
	serialEvery    = 2 * time.Second
	// connects are requests that show whether each makes a connection of its own.
	connects = 5
)

// mutual is what was found.
type mutual struct {
	// Shares of requests that were answered: of the client without a sidecar under STRICT and PERMISSIVE, and of the one with.
	plainStrict, plainPermissive, meshed float64
	// how a plain client's request failed.
	refusal string
	// serials of certificates that were seen, with a short lifetime and with the usual one.
	short, usual int
	// requests of the short-lived client over its renewals, and those that failed.
	asked, failed int
	// handshakes that its sidecar made for them; full are those that showed certificates, where the others resumed a TLS session.
	handshakes, full int
}

// strict is claim 18.
func strict(ctx context.Context, n *namespace) (claims.Finding, error) {
	short := published()
	short["proxyMetadata"] = map[string]any{"SECRET_TTL": lifetime} // pilot-agent's
	if err := n.deploy(ctx, probes{name: inside}, probes{name: outside, bare: true}, probes{name: shortLived, proxy: short}, probes{name: jarvis}); err != nil {
		return claims.Finding{}, err
	}
	if err := n.tell(ctx, "istio-hash", nil, "Service "+kube.JarvisService, "PeerAuthentication default"); err != nil {
		return claims.Finding{}, err
	}
	if err := n.apply(ctx, connectionEach(kube.JarvisService)); err != nil {
		return claims.Finding{}, err
	}
	for _, client := range []string{inside, shortLived} {
		if err := n.knows(ctx, client, kube.JarvisService, 1); err != nil {
			return claims.Finding{}, err
		}
	}
	err := n.until(ctx, "every request to make a connection", func(ctx context.Context) (bool, error) {
		before, err := n.statistics(ctx, shortLived, kube.JarvisService)
		if err != nil {
			return false, err
		}
		if _, err := n.ask(ctx, shortLived, probe.Batch{URL: url(kube.JarvisService, "/"), Requests: connects}); err != nil {
			return false, err
		}
		after, err := n.statistics(ctx, shortLived, kube.JarvisService)
		return after[countConnections]-before[countConnections] >= connects, err
	})
	if err != nil {
		return claims.Finding{}, err
	}
	var m mutual
	err = n.until(ctx, "STRICT to take effect", func(ctx context.Context) (bool, error) {
		answered, _, err := n.share(ctx, outside)
		return answered == 0, err
	})
	if err != nil {
		return claims.Finding{}, fmt.Errorf("the client without a sidecar is answered on: %w", err)
	}
	if m.plainStrict, m.refusal, err = n.share(ctx, outside); err != nil {
		return claims.Finding{}, err
	}
	if m.meshed, _, err = n.share(ctx, inside); err != nil {
		return claims.Finding{}, err
	}
	if err := n.rotations(ctx, &m); err != nil {
		return claims.Finding{}, err
	}
	if err := n.permissive(ctx); err != nil {
		return claims.Finding{}, err
	}
	if err := n.answers(ctx, outside, kube.JarvisService); err != nil {
		return claims.Finding{}, err
	}
	if m.plainPermissive, _, err = n.share(ctx, outside); err != nil {
		return claims.Finding{}, err
	}
	return judgeStrict(m), nil
}

// Envoy's counters of a cluster, by their last name.
const (
	countConnections = "upstream_cx_total"
	countHandshakes  = "handshake"      // ssl.
	countResumed     = "session_reused" // ssl.
)

// connectionEach is a DestinationRule under which each request to a Service makes a connection, and so a handshake: over one that stays,
// a sidecar would go on with the certificates of its begin.
func connectionEach(service string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule",
		"metadata": map[string]any{"name": "connection-each", "labels": map[string]any{overlay.PartOfLabel: overlay.Project}},
		"spec": map[string]any{
			"host":          service,
			"trafficPolicy": map[string]any{"connectionPool": map[string]any{"http": map[string]any{"maxRequestsPerConnection": int64(1)}}},
		},
	}}
}

func (n *namespace) permissive(ctx context.Context) error {
	objects, err := story(n.Deploy, n.name, "istio-hash")
	if err != nil {
		return err
	}
	policies, err := pick(objects, "PeerAuthentication default")
	if err != nil {
		return err
	}
	policy := policies[0].DeepCopy()
	if err := unstructured.SetNestedField(policy.Object, "PERMISSIVE", "spec", "mtls", "mode"); err != nil {
		return err
	}
	return n.apply(ctx, policy)
}

// share of requests that were answered, and the error of one that was not.
func (n *namespace) share(ctx context.Context, client string) (float64, string, error) {
	answers, err := n.ask(ctx, client, probe.Batch{URL: url(kube.JarvisService, "/"), Requests: strictRequests, Concurrency: 5})
	if err != nil || len(answers) == 0 {
		return 0, "", err
	}
	ok, why := 0, ""
	for _, a := range answers {
		if a.OK() {
			ok++
		} else {
			why = reason(a)
		}
	}
	return float64(ok) / float64(len(answers)), why, nil
}

// rotations looks at the certificates of two clients while the short-lived one asks on.
func (n *namespace) rotations(ctx context.Context, m *mutual) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	before, err := n.statistics(ctx, shortLived, kube.JarvisService)
	if err != nil {
		return err
	}
	var asking sync.WaitGroup
	var answers []probe.Answer
	var asked error
	asking.Go(func() {
		answers, asked = n.ask(ctx, shortLived, probe.Batch{URL: url(kube.JarvisService, "/"), Lasting: watchTime, Every: 100 * time.Millisecond})
	})
	seen := map[string]map[string]bool{inside: {}, shortLived: {}}
	ticker := time.NewTicker(serialEvery)
	defer ticker.Stop()
	for end := time.Now().Add(watchTime); ctx.Err() == nil && time.Now().Before(end); {
		for client, serials := range seen {
			serial, err := n.serial(ctx, client)
			if err != nil {
				cancel()
				asking.Wait()
				return err
			}
			serials[serial] = true
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
	asking.Wait()
	m.short, m.usual, m.asked = len(seen[shortLived]), len(seen[inside]), len(answers)
	for _, a := range answers {
		if !a.OK() {
			m.failed++
		}
	}
	if asked != nil {
		return asked
	}
	after, err := n.statistics(ctx, shortLived, kube.JarvisService)
	if err != nil {
		return err
	}
	made, resumed := after[countHandshakes]-before[countHandshakes], after[countResumed]-before[countResumed]
	m.handshakes, m.full = int(made), int(made-resumed)
	return nil
}

// serial is the serial number of the certificate that a client's sidecar presents.
func (n *namespace) serial(ctx context.Context, client string) (string, error) {
	pod, err := n.pod(client)
	if err != nil {
		return "", err
	}
	var found struct { // envoy.admin.v3.Certificates
		Certificates []struct {
			Chain []struct {
				Serial string `json:"serial_number"`
			} `json:"cert_chain"`
		} `json:"certificates"`
	}
	if err := n.http(ctx, pod.Name, proxies.AdminPort, http.MethodGet, "/certs", nil, &found); err != nil {
		return "", fmt.Errorf("ask the sidecar of %s: %w", pod.Name, err)
	}
	for _, c := range found.Certificates {
		if len(c.Chain) > 0 && c.Chain[0].Serial != "" {
			return c.Chain[0].Serial, nil
		}
	}
	return "", fmt.Errorf("%w: a certificate in the sidecar of %s", ErrMissing, pod.Name)
}

func judgeStrict(m mutual) claims.Finding {
	f := claims.Finding{
		Measured: fmt.Sprintf("of %d requests each: without a sidecar %s answered under STRICT (%s) and %s under PERMISSIVE, with one %s under STRICT; certificates of %s: %d serial numbers in %.0f s, %d of %d requests failed meanwhile, over %d mTLS handshakes, %d of them with certificates and the others resumed; of a day: %d",
			strictRequests, percent(m.plainStrict), m.refusal, percent(m.plainPermissive), percent(m.meshed),
			lifetime, m.short, watchTime.Seconds(), m.failed, m.asked, m.handshakes, m.full, m.usual),
		Figures: map[string]float64{
			"plain_strict": m.plainStrict, "plain_permissive": m.plainPermissive, "meshed_strict": m.meshed,
			"serials_short": float64(m.short), "serials_usual": float64(m.usual), "failed": float64(m.failed), "asked": float64(m.asked),
			"handshakes": float64(m.handshakes), "full_handshakes": float64(m.full),
		},
	}
	refused := m.plainStrict == 0 && m.meshed == 1
	// The first certificate may have been shown before the watch began.
	shown := m.handshakes >= m.asked && m.full >= m.short-1
	rotated := m.short >= 3 && m.asked > 0 && m.failed == 0 && shown
	switch {
	case m.plainPermissive < 1:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_MEASURABLE_HERE
		f.Note = "PERMISSIVE refuses it too, so something else than STRICT is in the way"
	case m.short >= 3 && !shown:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_MEASURABLE_HERE
		f.Note = "too few handshakes to say that renewed certificates were accepted"
	case refused && rotated:
		f.Verdict = reportv1.Verdict_VERDICT_REPRODUCED
		f.Note = "renewed at half their life without a restart"
	case refused:
		f.Verdict, f.Note = reportv1.Verdict_VERDICT_DEPENDS, "on which half: plain clients are refused, certificates did not rotate without failures"
	case rotated:
		f.Verdict, f.Note = reportv1.Verdict_VERDICT_DEPENDS, "on which half: certificates rotate, but plain clients are not refused"
	default:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_REPRODUCED
	}
	return f
}

func percent(share float64) string { return fmt.Sprintf("%.1f%%", 100*share) }
