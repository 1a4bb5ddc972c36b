package istio

import (
	"context"
	"fmt"
	"math"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/smaran-v2/smaran/loadtest/internal/claims"
	"github.com/smaran-v2/smaran/loadtest/internal/probe"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// Claim 15's load, and the Services over one and the same pod: without the policy, the same again, and with it.
const (
	upgradeRounds      = 32
	upgradeRequests    = 160
	upgradeConcurrency = 16
	withPolicy         = "with-h2"
	withoutPolicy      = "without-h2"
	withoutAgain       = "without-h2-again"
)

// published has a sidecar count by Service: by default it does not.
func published() map[string]any {
	return map[string]any{"proxyStatsMatcher": map[string]any{"inclusionPrefixes": []any{"cluster.outbound"}}}
}

// protocol is what was found about one Service.
type protocol struct {
	single, many rounds
	// connections that the sidecar made for the requests of many, and how many of them speak HTTP/2.
	connections, http2 float64
	// socket is whether a WebSocket got its message back; why says what came instead.
	socket bool
	why    string
}

// upgrade is claim 15.
func upgrade(ctx context.Context, n *namespace) (claims.Finding, error) {
	if err := n.deploy(ctx, probes{name: inside, proxy: published()}, probes{name: jarvis}); err != nil {
		return claims.Finding{}, err
	}
	services := []string{withoutPolicy, withoutAgain, withPolicy}
	for _, name := range services {
		if err := n.ruled(ctx, name, name == withPolicy); err != nil {
			return claims.Finding{}, err
		}
		if err := n.knows(ctx, inside, name, 1); err != nil {
			return claims.Finding{}, err
		}
	}
	found := make([]protocol, len(services))
	for _, concurrency := range []int{1, upgradeConcurrency} {
		var ways []way
		var before []map[string]float64
		for _, name := range services {
			ways = append(ways, way{inside, probe.Batch{
				URL: url(name, "/"), Sessions: sessions("h2", upgradeConcurrency), Requests: upgradeRequests, Concurrency: concurrency,
			}})
			counted, err := n.statistics(ctx, inside, name)
			if err != nil {
				return claims.Finding{}, err
			}
			before = append(before, counted)
		}
		measured, err := n.interleaved(ctx, upgradeRounds, ways...)
		if err != nil {
			return claims.Finding{}, err
		}
		for i, name := range services {
			after, err := n.statistics(ctx, inside, name)
			if err != nil {
				return claims.Finding{}, err
			}
			if concurrency == 1 {
				found[i].single = measured[i]
				continue
			}
			found[i].many = measured[i]
			// One that was there before counts too: it is used again.
			found[i].connections = after["upstream_cx_total"]
			found[i].http2 = after["upstream_cx_http2_total"]
			if after["upstream_rq_total"]-before[i]["upstream_rq_total"] < float64(measured[i].requests()) {
				return claims.Finding{}, fmt.Errorf("%w: the sidecar counted fewer requests to %s than were made", ErrProbe, name)
			}
		}
	}
	for i, name := range services {
		answers, err := n.ask(ctx, inside, probe.Batch{URL: "ws://" + name + probe.PathWebSocket, Sessions: sessions("ws", 1), Requests: 1})
		if err != nil {
			return claims.Finding{}, err
		}
		found[i].socket = len(answers) == 1 && answers[0].OK()
		found[i].why = reasons(answers)
	}
	version, err := n.envoy(ctx, inside)
	if err != nil {
		return claims.Finding{}, err
	}
	return judgeUpgrade(found[0], found[1], found[2], version), nil
}

// ruled makes a Service over the pods, and the project's DestinationRule for it, with or without the policy.
func (n *namespace) ruled(ctx context.Context, name string, policy bool) error {
	var features []string
	if policy {
		features = []string{"h2-upgrade"}
	}
	objects, err := story(n.Deploy, n.name, "istio-hash", features...)
	if err != nil {
		return err
	}
	rules, err := pick(objects, "DestinationRule "+jarvisRule)
	if err != nil {
		return err
	}
	rule := rules[0].DeepCopy()
	rule.SetName(name)
	if err := unstructured.SetNestedField(rule.Object, name, "spec", "host"); err != nil {
		return err
	}
	s, err := service(name, jarvis, nil)
	if err != nil {
		return err
	}
	return n.apply(ctx, s, rule)
}

// fewer is the share of connections up to which they count as reused more.
const fewer = 0.5

func judgeUpgrade(without, again, with protocol, envoy string) claims.Finding {
	single50, many50 := between(without.single, again.single, with.single, 0.50), between(without.many, again.many, with.many, 0.50)
	many99 := between(without.many, again.many, with.many, 0.99)
	f := claims.Finding{
		Measured: fmt.Sprintf("%d requests, %d at once: %.0f connections without, %.0f with (%.0f HTTP/2); p50 %s, p99 %s; one at a time p50 %s; a WebSocket %s without, %s with",
			with.many.requests(), upgradeConcurrency, without.connections, with.connections, with.http2, many50, many99, single50,
			works(without), works(with)),
		Figures: map[string]float64{
			"connections_without": without.connections, "connections_with": with.connections, "http2_connections": with.http2,
			"p50_difference_ms": many50.by, "p50_spread_ms": many50.spread, "p99_difference_ms": many99.by, "p99_spread_ms": many99.spread,
			"single_p50_difference_ms": single50.by, "single_p50_spread_ms": single50.spread,
			"websocket_without": number(without.socket), "websocket_with": number(with.socket), "requests": float64(with.many.requests()),
		},
	}
	about := fmt.Sprintf("HTTP/1.1 connections are reused as well, one a request under way; Envoy %s", envoy)
	if without.socket && !with.socket {
		about = "the price is WebSockets; " + about
	}
	reused := with.connections <= math.Ceil(fewer*without.connections)
	falls, fallsAlone := many50.faster(), single50.faster()
	switch {
	case with.http2 == 0:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_MEASURABLE_HERE
		f.Note = "the policy had no effect: no connection speaks HTTP/2"
	case reused && falls && fallsAlone:
		f.Verdict, f.Note = reportv1.Verdict_VERDICT_REPRODUCED, about
	case reused && falls:
		f.Verdict = reportv1.Verdict_VERDICT_DEPENDS
		f.Note = fmt.Sprintf("on the load: fewer connections, and latency falls with %d requests at once, not with one at a time; %s", upgradeConcurrency, about)
	case reused:
		f.Verdict = reportv1.Verdict_VERDICT_DEPENDS
		f.Note = "on which half: fewer connections, but no fall of latency that is more than noise; " + about
	case falls:
		f.Verdict = reportv1.Verdict_VERDICT_DEPENDS
		f.Note = "on which half: latency falls, but connections are no fewer; " + about
	default:
		f.Verdict, f.Note = reportv1.Verdict_VERDICT_NOT_REPRODUCED, about
	}
	return f
}

func works(p protocol) string {
	if p.socket {
		return "works"
	}
	return "fails" + inBrackets(p.why)
}

// number is a truth as a figure.
func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
